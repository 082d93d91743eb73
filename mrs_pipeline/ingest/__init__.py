"""Readers: one file a source format, each turning raw files into canonical columns.

Here: finding, mapping, typing and refusing raw input; ready feature matrices of a source; the demonstration
catalogue's generator; the inspection behind `mrs init`. Not here: de-duplication, k-core and dense numbers
(`tables`), writing to the lake (`storage`), decoding media (`encoders`).
"""
