"""Signs that a training went wrong, as numbers: what a modality gives to scores, what accuracy was lost."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor


def shares_of_scores(users: Tensor, paths: Mapping[str, Tensor]) -> dict[str, float]:
    """How much of what tells items apart comes by each path of a score that is a sum.

    A path's part is the variance over items of what it adds to a user's scores, in the mean over users; a constant that
    it adds to all items decides nothing.

    Args:
        users: [B, D] vectors.
        paths: path -> [I, D] of which the items' vectors are the sum.

    Returns:
        path -> share, adding up to 1; all 0 where no path tells items apart.

    >>> shares_of_scores(torch.eye(2), {"a": torch.tensor([[1.0, 0], [0, 1]]), "b": torch.ones(2, 2)})
    {'a': 1.0, 'b': 0.0}
    """
    parts = {name: float((users @ rows.T).var(dim=1, unbiased=False).mean()) for name, rows in paths.items()}
    return _normalised(parts)


def shares_of_weights(paths: Mapping[str, Tensor]) -> dict[str, float]:
    """The same of a model that is linear in the history: the square of each path's weights from items to items.

    Args:
        paths: path -> [I, I], dense or sparse.
    """
    values = {name: rows if rows.layout is torch.strided else rows.values() for name, rows in paths.items()}
    return _normalised({name: float(each.double().square().sum()) for name, each in values.items()})


def cosines_of_gradients(
    terms: Mapping[str, Tensor], parameters: Sequence[Tensor]
) -> dict[tuple[str, str], float]:
    """The cosine between the gradients of each two terms of a loss, on the parameters that both depend on.

    Yu et al., "Gradient Surgery for Multi-Task Learning" (NeurIPS 2020), section 2.1, call two terms conflicting where
    it is negative. Gradients of the terms are computed one after another; two of the parameters' size are held for each
    term.

    Args:
        terms: name -> scalar that may depend on the parameters; the graph behind it is kept.
        parameters: that are trained.

    Returns:
        (term, term) -> cosine; without pairs that share no parameter, or of which one has no gradient there.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> cosines_of_gradients({"a": x.sum(), "b": -2 * x.sum(), "c": x[0] - x[1]}, [x])
    {('a', 'b'): -1.0, ('a', 'c'): 0.0, ('b', 'c'): 0.0}
    """
    gradients = {
        name: torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        for name, term in terms.items()
        if term.requires_grad
    }
    found = {}
    for one, other in combinations(gradients, 2):
        shared = [
            (a.double().flatten(), b.double().flatten())
            for a, b in zip(gradients[one], gradients[other], strict=True)
            if a is not None and b is not None
        ]
        product = sum(float(a @ b) for a, b in shared)
        squares = [sum(float(side @ side) for side in sides) for sides in zip(*shared, strict=True)]
        if shared and all(squares):
            found[one, other] = product / math.sqrt(squares[0] * squares[1])
    return found


def lost_after_best(scores: Sequence[float], losses: Sequence[float]) -> float:
    """Share of the best validation score that was lost by the last epoch while the training loss went on falling.

    Args:
        scores: of validation, an epoch each.
        losses: of training, of the same epochs.

    >>> lost_after_best([0.1, 0.4, 0.3, 0.2], [4.0, 3.0, 2.0, 1.0])
    0.5
    >>> lost_after_best([0.1, 0.4, 0.2], [4.0, 3.0, 3.5])
    0.0
    """
    best = max(range(len(scores)), key=scores.__getitem__, default=0)
    if not scores or scores[best] <= 0 or losses[-1] >= losses[best]:
        return 0.0
    return 1 - scores[-1] / scores[best]


def _normalised(parts: Mapping[str, float]) -> dict[str, float]:
    whole = sum(parts.values())
    return {name: part / whole if whole > 0 else 0.0 for name, part in parts.items()}
