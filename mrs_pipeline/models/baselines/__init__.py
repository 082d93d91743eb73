"""Models that look at interactions only, and linear floors: one file a model."""
