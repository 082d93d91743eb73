"""The one training loop and its parts: options, devices, batches, early stopping, checkpoints.

What a step computes belongs to the model; how well a model ranks, to `evaluation`; the loop is handed a
function for that and knows nothing of it.
"""
