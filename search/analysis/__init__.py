"""What have the trials taught? Reads finished trials, writes the documents that answer a job."""
