"""Guidance of studies: effects of factors on the best temperature, from the answers of a study's jobs."""
