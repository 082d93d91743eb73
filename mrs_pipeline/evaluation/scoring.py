"""Scores of all items for users, chunk by chunk, with what may not be ranked masked out.

What is done with the scores is said elsewhere: metrics in `evaluator`, lists in `recommending`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.folded import Ranker
from mrs_pipeline.functional.kernels.dispatch import SIZES_KNOWN, has_kernel
from mrs_pipeline.types import IntArray, Interactions

_CPU_SCORES = 2**20
"""Scores that stand in memory together on a CPU: 4 MB, so that masking and ranking find them in the cache."""
_GPU_SCORES = 2**27
"""The same on a GPU, at most: half a gigabyte, enough to keep it busy."""
_GPU_BYTES = 32
"""What scoring, masking and ranking hold for each score on a GPU: scores, their order as whole numbers, masks."""
_GPU_SHARE = 8
"""A GPU's memory over what one chunk may take of it; the rest is the model's."""


@dataclass(frozen=True)
class RowItems:
    """Items of each of B rows.

    Attributes:
        starts: [B + 1] int64 where each row's items begin; NumPy, to slice without waiting for a device.
        rows: [n] int64 ascending.
        items: [n] int64.
    """

    starts: IntArray
    rows: Tensor
    items: Tensor

    @classmethod
    def of_users(
        cls, keys: IntArray, users: IntArray, n_items: int, device: torch.device | str
    ) -> "RowItems":
        """From ascending `pair_keys` to the rows of `users` [B], ascending; pairs of others are left out."""
        owners = keys // n_items
        rows = np.searchsorted(users, owners)
        mine = rows < len(users)
        mine[mine] = users[rows[mine]] == owners[mine]
        rows, items = rows[mine], keys[mine] % n_items
        starts = np.searchsorted(rows, np.arange(len(users) + 1))
        return cls(starts, torch.from_numpy(rows).to(device), torch.from_numpy(items).to(device))

    def part(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows, counted from `start`, and items of the rows `start` to `stop`."""
        where = slice(int(self.starts[start]), int(self.starts[stop]))
        return self.rows[where] - start, self.items[where]


def pair_keys(parts: Sequence[Interactions], n_items: int) -> IntArray:
    """Distinct pairs as ascending keys user * n_items + item."""
    keys = [part.users * n_items + part.items for part in parts]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *keys]))


def scores_at_once(device: torch.device) -> int:
    """Scores of a chunk: by what the device has in all, not by what is free, so that a chunk is always the same."""
    if device.type != "cuda":
        return _CPU_SCORES
    total: int = torch.cuda.get_device_properties(device).total_memory
    return min(_GPU_SCORES, total // (_GPU_BYTES * _GPU_SHARE))


@torch.no_grad()
def masked_scores(
    model: Ranker, users: Tensor, excluded: RowItems, blocked: Tensor | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Chunks of `users` [B] int64: which rows they are, and their scores [b, I].

    The host of a GPU waits once, at the end: what is wrong with the scores is said after the last chunk.

    Args:
        model: scores every item.
        users: whom for.
        excluded: items of each of these users that get -inf.
        blocked: [I] bool items that get -inf for everyone, beside those that the model cannot rank.

    Raises:
        InputError: the model gives a NaN or an infinite score.
    """
    model.eval()
    scorer = model.scorer()
    unranked = ~model.rankable
    hidden = unranked if blocked is None else unranked | blocked
    masked = not has_kernel(SIZES_KNOWN, hidden) or bool(hidden.any())
    size = max(1, scores_at_once(model.device) // max(model.n_items, 1))
    finite = torch.ones((), dtype=torch.bool, device=hidden.device)
    for start in range(0, len(users), size):
        rows = slice(start, min(start + size, len(users)))
        scores = scorer(users[rows])
        finite &= torch.isfinite(scores.sum())  # a NaN or an infinity anywhere shows in the sum
        scores[excluded.part(rows.start, rows.stop)] = -torch.inf
        if masked:
            scores.masked_fill_(hidden, -torch.inf)
        yield rows, scores
    if not finite:
        raise InputError(
            f"model '{model.spec.name}' scores some items with NaN or infinity; "
            "train it again with a lower learning_rate"
        )
