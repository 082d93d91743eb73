"""Cutting a window of payloads into batches by length. Pure functions on arrays."""

import numpy as np

from mrs_pipeline.types import IntArray


def batches_by_length(lengths: IntArray, batch_size: int, batch_tokens: int) -> list[IntArray]:
    """Positions sorted by length, longest first, cut so that little of a batch is padding.

    Longest first, so that a batch too large for the memory fails at once and not after an hour.

    Args:
        lengths: [n] tokens of each payload.
        batch_size: most payloads in a batch.
        batch_tokens: most tokens in a batch, padding included; a payload longer than that is alone in its
        batch.

    Returns:
        Arrays of positions that together cover 0..n-1 once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, at = [], 0
    while at < len(order):
        longest = max(int(lengths[order[at]]), 1)
        size = max(1, min(batch_size, batch_tokens // longest))
        batches.append(order[at : at + size])
        at += size
    return batches


def padded(rows: list[list[int]], fill: int) -> tuple[IntArray, IntArray]:
    """[B, T] token numbers padded on the right with `fill`, and the mask [B, T] that is 1 on real tokens."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(max(int(lengths.max()), 1)) < lengths[:, None]
    tokens = np.full(mask.shape, fill, dtype=np.int64)
    tokens[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return tokens, mask.astype(np.int64)
