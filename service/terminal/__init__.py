"""What a terminal shows: commands, answers, progress."""
