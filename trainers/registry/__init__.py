"""The records of what can be chosen: optimizers, losses, models, data sets, schedules, augmentations. Free of torch.

Everything else derives from a record: names and literals, spec fields with their ranges, the catalogue, texts, labels,
colours and exports. Code that needs torch binds to a record by its name.
"""
