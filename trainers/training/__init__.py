"""One step, one epoch, one measure."""
