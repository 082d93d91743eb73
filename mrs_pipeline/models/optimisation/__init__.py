"""Models that differ in how they are trained (two steps, wrappers of other models): one file a model."""
