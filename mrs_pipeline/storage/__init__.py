"""Where everything that a run produces lies, and how it gets there without half-written files or locks.

Belongs here: the project's folders (`home`), digests, provenance, Parquet tables (`lake`), the catalogue of
SQL views (`catalogue`), directories of arrays and checkpoints (`artifacts`). What the tables mean lives in
`tables`; which asset writes which is `orchestration`.
"""
