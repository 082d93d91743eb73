"""The one vectorised full-ranking evaluator: options, ranking tasks, per-user metrics and their summaries.

Metric formulas belong in `functional.metrics`; what is done with the numbers, in `fitting` and
`reporting`.
"""
