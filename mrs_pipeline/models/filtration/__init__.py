"""Models that filter noise from graphs or features: one file a model."""
