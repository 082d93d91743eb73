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
from mrs_pipeline.types import IntArray, Interactions

_SCORES_AT_ONCE = 2**20
"""Scores that stand in memory together: 4 MB, so that masking and ranking find them in the cache."""


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


@torch.no_grad()
def masked_scores(
    model: Ranker, users: Tensor, excluded: RowItems, blocked: Tensor | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Chunks of `users` [B] int64: which rows they are, and their scores [b, I].

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
    masked = bool(hidden.any())
    size = max(1, _SCORES_AT_ONCE // max(model.n_items, 1))
    for start in range(0, len(users), size):
        rows = slice(start, min(start + size, len(users)))
        scores = scorer(users[rows])
        if not torch.isfinite(scores.sum()):  # a NaN or an infinity anywhere shows in the sum
            raise InputError(
                f"model '{model.spec.name}' scores some items with NaN or infinity; "
                "train it again with a lower learning_rate"
            )
        scores[excluded.part(rows.start, rows.stop)] = -torch.inf
        if masked:
            scores.masked_fill_(hidden, -torch.inf)
        yield rows, scores
