"""What a model's lists are worth: one metric a file, found by name in `registry`.

A metric is a `base.Metric`: a name, a formula, a range, a direction, and a function of the `evidence` (places of the
relevant items, lists, training counts, features). Nothing here knows models, files or settings; whom and what to rank
is said in `evaluation`. NumPy only, no torch: settings are checked against this package while definitions load.
"""
