"""Job specs: their parts, parsing from text, and explanations of what is refused."""
