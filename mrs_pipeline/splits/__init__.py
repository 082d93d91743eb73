"""Which interactions train, validate and test: one file a strategy, pure NumPy on dense numbers and times.

Nothing here reads or writes. The rows that go in are `core.interactions`, the labels that come out become
`core.splits`; both are the business of `tables` and of whoever stores them.
"""
