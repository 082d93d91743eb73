"""Pure functions on arrays and tensors that read as formulas: graphs, losses, ranking, metrics, sampling.

No state, no files, no devices chosen here, no global random numbers. Operations with a backward of their own are in
`kernels`. What a model composes belongs in `models`; what needs a model, in `training` or `evaluation`.
"""
