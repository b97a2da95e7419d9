"""The teacher, run once, and what all students of a job share."""
