"""What does an answer cost, here and with others? Whole jobs and whole searches, simulated on recorded curves."""
