"""HTTP, command line and pages over `search.public`."""
