"""The API and its workers under load, over time, and under faults."""
