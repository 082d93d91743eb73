"""Modality encoders and the engine that runs them: raw content in, row-aligned feature matrices out.

One file an encoder. `options.py` says what a dataset's YAML may name, `registry.py` opens it, `engine.py`
runs it. Nothing here knows of Dagster, the lake or a model; tables of failures and manifests are written by
those who call.
"""
