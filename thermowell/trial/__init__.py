"""Trials inside a training script: claimed, reported and ended, with the standard library of Python 3.9 alone."""
