"""What a bank, a loop and the peers train in a second, and the memory that they take."""
