"""The process that trains: `python -m search.worker`."""
