"""Models told apart by how they are trained (two steps, wrappers of other models): one file a model."""
