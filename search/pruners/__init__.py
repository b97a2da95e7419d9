"""Pruners: which trials are stopped at a rung."""
