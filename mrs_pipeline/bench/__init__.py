"""Benchmarks: accuracy of all models, seconds and memory of training and extraction, and the page that shows them."""
