"""The guards of each stage: expectations of `tables` run on the stored partitions, and what must hold of models.

A suite that fails blocks what is downstream; what is merely suspicious (a weak feature set, a model that does not
beat popularity) warns. What the expectations are stands beside each table, how they are evaluated in `quality`.
"""
