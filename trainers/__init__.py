"""Trains students: given concrete configurations, answers per-epoch reports and a result."""
