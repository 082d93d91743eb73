"""Models whose user is a history in the order of time, without content: the control of the sequence fusions.

Sequence models that fuse modalities belong in the package of their fusion; what all share, in `layers.next_item`.
"""
