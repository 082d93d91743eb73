"""Models that bridge users and items by graphs: one file a model."""
