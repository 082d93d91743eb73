"""Models that enhance representations by contrast or by disentangling them: one file a model."""
