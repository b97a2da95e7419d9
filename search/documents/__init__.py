"""From text to a spec, with every problem said at its line."""
