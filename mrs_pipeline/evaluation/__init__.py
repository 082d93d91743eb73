"""The one vectorised full-ranking evaluator: options, ranking tasks, per-user metrics and their summaries.

Formulas of metrics belong in `metrics`; what is done with the numbers, in `fitting` and
`reporting`.
"""
