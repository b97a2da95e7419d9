"""Jobs that are crossed: what a study asks for, which cells it has, and which job each cell is."""
