"""What is known before a job's first trial: from the literature, and from jobs that have ended here."""
