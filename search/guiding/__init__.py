"""What moves the best temperature? Reads the answers of a study's jobs, writes the guidance that they give together."""
