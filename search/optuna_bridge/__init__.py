"""Optuna's side: the space, samplers, pruners, and the mirror of our tables."""
