"""Analysis of finished trials: of one job, of a study, and of what earlier jobs and the literature say."""
