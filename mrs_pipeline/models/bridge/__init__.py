"""Models that bridge modalities and interactions by a graph: one file a model."""
