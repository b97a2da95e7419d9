"""Quality over a job's space, as a Gaussian process sees it: what samplers and analysis have in common."""
