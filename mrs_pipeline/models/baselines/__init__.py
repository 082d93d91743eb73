"""Models that look at interactions only, and linear baselines: one file a model."""
