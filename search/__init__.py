"""Decides what to train next and remembers everything."""
