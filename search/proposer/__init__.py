"""The process beside the API that proposes trials to programs of others, and answers their jobs. No torch here."""
