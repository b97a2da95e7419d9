"""What a good answer costs with this service, with a grid, and with other projects' searches."""
