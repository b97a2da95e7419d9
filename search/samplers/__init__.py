"""Samplers: which configuration is trained next."""
