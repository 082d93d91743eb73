"""K-means without a draw: the same clusters however rows are numbered, but for ties."""

import torch
from torch import Tensor

from mrs_pipeline.functional.distinct import occurrences
from mrs_pipeline.functional.kernels.rows import take_rows

_ROWS = 65_536
"""Rows whose distances from all centres stand in memory at once."""


def kmeans(rows: Tensor, k: int, steps: int = 20) -> Tensor:
    """Centres [k', D] of the rows [n, D], k' = min(k, n); O(n k D) a step.

    The first centre is the row farthest from the mean, each further one the row farthest from all before it (Gonzalez,
    1985); then `steps` of Lloyd's. A centre that loses all of its rows stays where it is.

    >>> points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    >>> kmeans(points, 2).sort(dim=0).values
    tensor([[ 0.5000],
            [10.5000]])
    """
    if not len(rows):
        return rows
    chosen = [(rows - rows.mean(0)).square().sum(1).argmax().view(1)]
    nearest = rows.new_full((len(rows),), torch.inf)
    while len(chosen) < min(k, len(rows)):
        nearest = torch.minimum(nearest, (rows - take_rows(rows, chosen[-1])).square().sum(1))
        chosen.append(nearest.argmax().view(1))
    centres = take_rows(rows, torch.cat(chosen))
    for _ in range(steps):
        owner = nearest_centre(rows, centres)
        counts = occurrences(owner, len(centres))
        sums = torch.zeros_like(centres).index_add_(0, owner, rows)
        moved = torch.where((counts > 0).unsqueeze(1), sums / counts.clamp(min=1).unsqueeze(1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def nearest_centre(rows: Tensor, centres: Tensor) -> Tensor:
    """[n] int64 which of `centres` [k, D] is nearest to each of `rows` [n, D]."""
    squares = centres.square().sum(1)
    blocks = [(squares - 2 * block @ centres.T).argmin(1) for block in torch.split(rows, _ROWS)]
    return torch.cat(blocks) if blocks else torch.zeros(0, dtype=torch.int64, device=rows.device)
