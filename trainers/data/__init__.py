"""Images and labels: sources, splits, augmented views."""
