"""Recorded learning curves, served again as if students were being trained: grid, world, table, engine."""
