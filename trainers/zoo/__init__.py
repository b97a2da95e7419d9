"""The models: names, networks, dropout, weights."""
