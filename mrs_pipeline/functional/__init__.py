"""Pure functions on arrays and tensors: graphs, sparse products, losses, ranking, metrics, sampling.

No state, no files, no devices chosen here, no global random numbers. What a model composes belongs in
`models.layers`; what needs a model belongs in `training` or `evaluation`.
"""
