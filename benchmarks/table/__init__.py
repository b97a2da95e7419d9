"""The tabular benchmark: which contexts it has, how its learning curves are made, and the curves themselves."""
