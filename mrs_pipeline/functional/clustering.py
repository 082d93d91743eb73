"""K-means without a draw: the same clusters however rows are numbered, but for ties."""

import torch
from torch import Tensor

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
    chosen = [int((rows - rows.mean(0)).square().sum(1).argmax())] if len(rows) else []
    nearest = rows.new_full((len(rows),), torch.inf)
    while len(chosen) < min(k, len(rows)):
        nearest = torch.minimum(nearest, (rows - rows[chosen[-1]]).square().sum(1))
        chosen.append(int(nearest.argmax()))
    centres = rows[chosen]
    for _ in range(steps):
        owner = nearest_centre(rows, centres)
        counts = torch.bincount(owner, minlength=len(centres))
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
