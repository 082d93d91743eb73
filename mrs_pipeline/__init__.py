"""mrs_pipeline: multimodal recommender systems as a Dagster pipeline."""

__version__ = "0.1.0"
