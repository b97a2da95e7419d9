"""What a browser shows: report and pictures."""
