"""Neighbours on which all modalities agree (DA-MRS). Neighbours of one modality are in `graphs`."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.functional.sparse import Csr

_SCORES = 2**20
"""Similarities of one modality that stand in memory at once."""


def agreeing_neighbours(
    features: Mapping[str, Tensor], present: Mapping[str, Tensor], k: int
) -> dict[str, Csr]:
    """Modality -> graph of ones [I, I]: the k nearest items by cosine among those that every modality thinks alike.

    Two items are alike in a modality if their cosine is at least the mean over all pairs of its items; a modality
    that either of them lacks has no say. An item is its own first neighbour in each modality that it has. Blocks of
    similarities stand in memory, never [I, I].

    Args:
        features: modality -> [I, F].
        present: modality -> [I] bool.
        k: neighbours a row, the item itself among them; fewer where fewer agree.
    """
    units = {name: normalize(values, dim=1) for name, values in features.items()}
    usable = {name: present[name] & (unit != 0).any(1) for name, unit in units.items()}
    units = {name: unit * usable[name].unsqueeze(1) for name, unit in units.items()}
    # the mean cosine of all pairs is the squared length of the mean unit vector
    means = {
        name: (unit.sum(0) / usable[name].sum().clamp(min=1)).square().sum() for name, unit in units.items()
    }
    n = len(next(iter(units.values())))
    found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in units}
    for rows in torch.split(torch.arange(n, device=next(iter(units.values())).device), max(1, _SCORES // n)):
        cosines = {name: unit[rows] @ unit.T for name, unit in units.items()}
        alike = torch.ones(len(rows), n, dtype=torch.bool, device=rows.device)
        for name, cosine in cosines.items():
            both = usable[name][rows].unsqueeze(1) & usable[name]
            alike &= (cosine >= means[name]) | ~both
        for name, cosine in cosines.items():
            own = usable[name][rows].unsqueeze(1)
            scores = cosine.masked_fill(~(alike & own & usable[name]), -torch.inf)
            itself = torch.arange(len(rows), device=rows.device)
            scores[itself, rows] = torch.where(own[:, 0], 2.0, -torch.inf).to(scores.dtype)
            best, columns = top_k(scores, min(k, n))
            place, which = torch.nonzero(best > -torch.inf, as_tuple=True)
            found[name].append((rows[place], columns[place, which]))
    graphs = {}
    for name, pairs in found.items():
        left, right = (torch.cat(side) for side in zip(*pairs, strict=True))
        graphs[name] = Csr.from_pairs(left, right, units[name].new_ones(len(left)), (n, n))
    return graphs
