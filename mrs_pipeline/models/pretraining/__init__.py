"""Pretraining of item vectors, the first of two steps: one file a pretrainer."""
