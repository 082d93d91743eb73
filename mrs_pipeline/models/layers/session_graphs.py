"""The latest items of a history, and what their content falls into, as a small graph with kinds of relations."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.models.layers.content_clusters import NONE


@dataclass(frozen=True)
class SessionGraph:
    """P graphs of N nodes over n places of a session. A node that occurs at several places stands there several times.

    Its copies see the same, and only the first of them is seen, so that a graph is what it would be with one of each.
    Masks are [P, N, N] bool: whether the row's node sees the column's.

    Attributes:
        occurs: [P, N, n] ones where a node occurs.
        itself: the node itself.
        before: nodes of its kind that come right after one of its places.
        after: nodes of its kind that come right before one.
        both: nodes of its kind that come right before one place and right after another.
        across: nodes of other kinds at one of its places.
    """

    occurs: Tensor
    itself: Tensor
    before: Tensor
    after: Tensor
    both: Tensor
    across: Tensor

    @property
    def within(self) -> tuple[Tensor, ...]:
        """The relations of nodes of one kind, in a fixed order."""
        return self.itself, self.before, self.after, self.both


def session_graph(bundles: Sequence[Tensor]) -> SessionGraph:
    """Of the nodes at each place of P sessions.

    Args:
        bundles: of each kind of nodes [P, n, k] int64, k at a place by their number among that kind; `NONE` for none.

    >>> items, words = torch.tensor([[[7], [8], [9]]]), torch.tensor([[[0], [1], [0]]])
    >>> graph = session_graph([items, words])
    >>> graph.before[0, 0].nonzero().flatten()  # item 8 comes after item 7
    tensor([1])
    >>> graph.both[0, 3].nonzero().flatten()  # word 1 comes after word 0 and before it
    tensor([4])
    >>> graph.across[0, 5].nonzero().flatten()  # word 0 belongs to items 7 and 9
    tensor([0, 2])
    """
    device, n = bundles[0].device, bundles[0].shape[1]
    numbers = torch.cat([each.flatten(1) for each in bundles], dim=1)
    widths = [each.shape[2] for each in bundles]
    place = torch.arange(n, device=device)
    places = torch.cat([place.repeat_interleave(width) for width in widths])
    kinds = torch.cat([torch.full_like(place, kind).repeat_interleave(k) for kind, k in enumerate(widths)])
    same_kind = kinds.unsqueeze(1) == kinds
    there = (numbers != NONE).unsqueeze(2)
    alike = there & same_kind & (numbers.unsqueeze(2) == numbers.unsqueeze(1))
    dtype = torch.get_default_dtype()
    at = (places.unsqueeze(1) == place).to(dtype)
    occurs = (alike.to(dtype) @ at > 0).to(dtype)
    earlier = torch.ones(len(kinds), len(kinds), dtype=torch.bool, device=device).tril(-1)
    seen = (there & ~(alike & earlier).any(2, keepdim=True)).mT
    meets = occurs @ occurs.mT > 0
    leads = (occurs[..., :-1] @ occurs[..., 1:].mT > 0) & same_kind & ~alike
    follows = leads.mT
    return SessionGraph(
        occurs,
        alike & seen,
        leads & ~follows & seen,
        follows & ~leads & seen,
        leads & follows & seen,
        meets & ~same_kind & seen,
    )
