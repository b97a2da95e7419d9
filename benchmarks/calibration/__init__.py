"""Whether stated chances, intervals and sets hold what they say."""
