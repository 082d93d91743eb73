"""The demonstration catalogue: a small record shop whose listeners' tastes show in everything about a record.

Here: who listens to what (`market`), how a taste looks, reads and sounds (`tastes`, `pictures`, `words`,
`sounds`, `clips`, `shelf`), the folder it is written to (`writer`, `reader`). Nothing outside this package knows that
the data are made up: it reads them like any other folder.
"""
