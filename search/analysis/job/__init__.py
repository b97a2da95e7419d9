"""Analysis of finished trials: the documents that answer a job."""
