"""Models that fuse modality features into the item vector: one file a model."""
