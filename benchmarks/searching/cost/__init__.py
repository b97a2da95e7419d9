"""The cost of an answer, here and with others: whole jobs and whole searches, simulated on recorded curves."""
