"""The API below /v1, and what stands at its door."""
