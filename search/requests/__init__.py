"""What people ask of jobs, trials, results and keys, and what they order."""
