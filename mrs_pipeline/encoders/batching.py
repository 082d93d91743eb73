"""Cutting a window of payloads into batches by length. Pure functions on arrays."""

import numpy as np

from mrs_pipeline.types import IntArray

WIDTH_STEP = 8
"""Few different shapes fit into the holes that earlier ones left in memory, and tensor cores like multiples of 8."""


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


def padded(rows: list[list[int]], fill: int, most: int) -> tuple[IntArray, IntArray]:
    """Token numbers padded on the right with `fill`, and the mask that is 1 on real tokens.

    Args:
        rows: token numbers of each text, at most `most` of them.
        fill: what stands where there is no token.
        most: tokens that the model can take.

    Returns:
        Numbers and mask, both [B, T]; T is a multiple of `WIDTH_STEP` where `most` allows it.
    """
    lengths = np.array([len(row) for row in rows])
    longest = max(int(lengths.max()), 1)
    width = max(longest, min(-(-longest // WIDTH_STEP) * WIDTH_STEP, most))
    mask = np.arange(width) < lengths[:, None]
    tokens = np.full(mask.shape, fill, dtype=np.int64)
    tokens[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return tokens, mask.astype(np.int64)
