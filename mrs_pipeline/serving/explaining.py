"""Why an item is shown: its score taken apart where it is a sum, by leaving things out where it is none, and evidence.

Paths: where an item's vector is a sum of parts (`Recommender.item_paths`), or the weights between items are
(`weight_paths`), the shares of a score are exact and add up to it. Elsewhere a modality's share is what the score loses
when the item has the catalogue's mean content in its place.

History: in a model that is linear in the history a taken item's share is its weight, exactly; elsewhere it is what the
score of the whole history, folded in, loses without it.

Models that read a knowledge graph: the paths that join the shown item with the history (`connections`), as evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import with_content
from mrs_pipeline.models.base import HasTokenMaps
from mrs_pipeline.serving.answers import folded
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.serving.connections import Connection, connections
from mrs_pipeline.serving.shelf import NotThereError
from mrs_pipeline.types import FeatureMatrix, FloatArray, IntArray

LONGEST = 500
"""Latest items of a history that are looked at one by one."""


@dataclass(frozen=True)
class Reason:
    """A taken item that speaks for the shown one.

    Attributes:
        item_id: of the history.
        title: its title.
        share: of the score.
        alike: modality -> cosine with the shown item; only where both have it.
    """

    item_id: str
    title: str | None
    share: float
    alike: Mapping[str, float]


@dataclass(frozen=True)
class Explanation:
    """Why one item is shown to somebody.

    Attributes:
        item_id: what is shown.
        title: its title.
        score: the model's.
        paths: path -> share of the score.
        excess: path -> how much more that is than the mean over the items that the model can rank.
        exact: whether the shares of the paths add up to the score.
        named: the modality whose excess is largest; None where none has one above zero.
        reasons: the history, what speaks most for the item first.
        nearest: modality -> ids of the history, most alike first, three at most.
        known: paths through the knowledge graph to items of the history; of models that read one.
        maps: modality -> attention [rows, columns] to the item's regions, which sums to one; only for a user that a
            model with such attention was trained on.
    """

    item_id: str
    title: str | None
    score: float
    paths: Mapping[str, float]
    excess: Mapping[str, float]
    exact: bool
    named: str | None
    reasons: Sequence[Reason]
    nearest: Mapping[str, Sequence[str]]
    known: Sequence[Connection] = ()
    maps: Mapping[str, FloatArray] = field(default_factory=dict)


def explanation(
    bundle: Bundle,
    item_id: str,
    *,
    user: str | None = None,
    history: Sequence[str] | None = None,
    reasons: int = 5,
) -> Explanation:
    """Why `item_id` is shown to a user, or to somebody of whom a history is all that is known.

    Raises:
        InputError: an unknown item or user, no history, or the model knows nothing of the item.
    """
    if (user is None) == (history is None):
        raise InputError("name a user or give a history, one of the two")
    item = bundle.shelf.number(item_id)
    if not bundle.rankable[item]:
        raise NotThereError(f"{bundle.name} knows nothing of item '{item_id}'")
    taken, vector = _asked(bundle, user, history)
    shares = _history_shares(bundle, taken, item)
    paths, excess, score, exact = _paths(bundle, taken, vector, item)
    modalities = {name: value for name, value in excess.items() if name in bundle.content and value > 0}
    order = np.argsort(-shares, kind="stable")[:reasons]
    return Explanation(
        item_id=item_id,
        title=bundle.shelf.titles[item],
        score=score,
        paths=paths,
        excess=excess,
        exact=exact,
        named=max(modalities, key=lambda name: modalities[name]) if modalities else None,
        reasons=[_reason(bundle, item, int(taken[place]), float(shares[place])) for place in order],
        nearest={name: _nearest(bundle, name, item, taken) for name in bundle.content},
        known=connections(bundle, taken, item),
        maps=_maps(bundle, user, item),
    )


def sentence(found: Explanation) -> str:
    """The explanation in words."""
    name = found.title or found.item_id
    parts = [f"{name} scores {found.score:.3f}."]
    if found.named:
        how = "exactly" if found.exact else "by leaving it out"
        more = found.excess[found.named]
        parts.append(
            f"What speaks for it most in its content is the {found.named} ({more:+.3f} against an average item, {how})."
        )
    if found.reasons:
        best = ", ".join(f"{each.title or each.item_id} ({each.share:+.3f})" for each in found.reasons[:3])
        parts.append(f"Of the history, these speak for it: {best}.")
    if found.known:
        parts.append(f"In the knowledge graph it is joined with {'; '.join(map(str, found.known))}.")
    return " ".join(parts)


def _asked(bundle: Bundle, user: str | None, history: Sequence[str] | None) -> tuple[IntArray, FloatArray]:
    """The history, and the vector [D] or the scores [I] that it is ranked by."""
    if user is not None:
        number = bundle.users.get(user)
        if number is None:
            raise NotThereError(
                f"there is no user '{user}'; users are called like {', '.join(list(bundle.users)[:3])}"
            )
        taken = bundle.history_of(number)
        if bundle.known_users[number] and len(taken):
            if bundle.user_vectors is not None:
                return taken[-LONGEST:], bundle.user_vectors[number]
            with torch.no_grad():
                return taken[-LONGEST:], bundle.scorer(torch.tensor([number])).numpy()[0]
    else:
        assert history is not None
        taken = bundle.shelf.numbers(history)
    if not len(taken):
        raise NotThereError("there is no history to explain by: what is popular is shown")
    if bundle.fold is None:
        raise NotThereError(f"{bundle.name} cannot rank for a history, so that there is nothing to explain")
    return taken[-LONGEST:], folded(bundle, [taken])[0]


def _paths(
    bundle: Bundle, taken: IntArray, vector: FloatArray, item: int
) -> tuple[dict[str, float], dict[str, float], float, bool]:
    """Shares of paths, how much above the mean item's they are, the score, and whether the shares add up to it."""
    rankable = bundle.rankable
    if bundle.products:
        score = float(vector @ bundle.item_vectors[item])
        by_path = {name: rows @ vector for name, rows in item_paths(bundle).items()}
    else:
        score = float(vector[item])
        by_path = {name: _summed(weights, taken) for name, weights in weight_paths(bundle).items()}
    if by_path:
        shares = {name: float(values[item]) for name, values in by_path.items()}
        above = {name: float(values[item] - values[rankable].mean()) for name, values in by_path.items()}
        return shares, above, score, True
    lost = {name: score - _without(bundle, name, item, vector) for name in occludable(bundle, item)}
    return lost, lost, score, False


@lru_cache(maxsize=2)
def item_paths(bundle: Bundle) -> dict[str, FloatArray]:
    """Path -> [I, D] of a model whose item vectors are sums."""
    with torch.no_grad():
        return {str(name): rows.cpu().numpy() for name, rows in bundle.model.item_paths().items()}


@lru_cache(maxsize=2)
def weight_paths(bundle: Bundle) -> dict[str, Tensor]:
    """Path -> [I, I] of a model that is linear in the history."""
    with torch.no_grad():
        return {str(name): weights for name, weights in bundle.model.weight_paths().items()}


def occludable(bundle: Bundle, item: int) -> list[str]:
    """Modalities that an item has and a model trained by steps reads."""
    others = bundle.data.raw or bundle.data.tokens or bundle.data.pretrained
    if not bundle.products or not bundle.model.sees_content or others:
        return []
    return [str(name) for name, matrix in bundle.data.features.items() if matrix.present[item]]


def _without(bundle: Bundle, modality: str, item: int, vector: FloatArray) -> float:
    """The score with the catalogue's mean content in the place of the item's."""
    matrix = bundle.data.features[modality]
    values = np.array(matrix.values, dtype=np.float32)
    values[item] = values[matrix.present].mean(0)
    other = FeatureMatrix(values, matrix.present, matrix.name)
    data = replace(bundle.data, features={**bundle.data.features, modality: other})
    with torch.no_grad():
        items = with_content(bundle.model, data, modality, [item]).representations()[1]
    return float(items[item].numpy() @ vector)


def _maps(bundle: Bundle, user: str | None, item: int) -> dict[str, FloatArray]:
    """Modality -> the grid of a user's attention to an item's regions; empty where there is none."""
    model = bundle.model
    if user is None or not isinstance(model, HasTokenMaps) or not bundle.known_users[bundle.users[user]]:
        return {}
    with torch.no_grad():
        found = model.token_maps(torch.tensor([bundle.users[user]]), torch.tensor([item]))
    grids = {name: bundle.data.tokens[name].grid for name in found}
    return {
        name: weights[0].numpy().reshape(grid)
        for name, weights in found.items()
        if (grid := grids[name]) is not None and float(weights.sum()) > 0
    }


def _history_shares(bundle: Bundle, taken: IntArray, item: int) -> FloatArray:
    """[n] what each item of the history gives to the score."""
    paths = {} if bundle.products else weight_paths(bundle)
    if paths:
        rows = torch.from_numpy(taken)
        weighed: FloatArray = np.sum(
            [_rows(weights, rows)[:, item].numpy() for weights in paths.values()], axis=0
        )
        return weighed
    if bundle.fold is None:
        return np.zeros(len(taken), np.float32)
    lists = [taken, *(np.delete(taken, place) for place in range(len(taken)))]
    found = folded(bundle, lists)
    scores = found @ bundle.item_vectors[item] if bundle.products else found[:, item]
    shares: FloatArray = scores[0] - scores[1:]
    return shares


def _summed(weights: Tensor, taken: IntArray) -> FloatArray:
    found: FloatArray = _rows(weights, torch.from_numpy(np.unique(taken))).sum(0).numpy()
    return found


def _rows(weights: Tensor, rows: Tensor) -> Tensor:
    """Rows of a dense or sparse matrix, dense."""
    if weights.layout is torch.strided:
        return weights[rows]
    picked = torch.sparse_coo_tensor(
        torch.stack([torch.arange(len(rows)), rows]),
        torch.ones(len(rows)),
        (len(rows), len(weights)),
        check_invariants=False,
    )
    return torch.mm(picked.to_sparse_csr(), weights).to_dense()


def _reason(bundle: Bundle, item: int, other: int, share: float) -> Reason:
    alike = {
        name: float(matrix.values[item] @ matrix.values[other])
        for name, matrix in bundle.content.items()
        if matrix.present[item] and matrix.present[other]
    }
    return Reason(bundle.shelf.ids[other], bundle.shelf.titles[other], share, alike)


def _nearest(bundle: Bundle, modality: str, item: int, taken: IntArray) -> list[str]:
    matrix = bundle.content[modality]
    have = taken[matrix.present[taken]]
    if not matrix.present[item] or not len(have):
        return []
    order = np.argsort(-(matrix.values[have] @ matrix.values[item]), kind="stable")[:3]
    return [bundle.shelf.ids[place] for place in have[order]]
