"""The weights that a training begins from where the window before has been trained: rows of users and items by id.

The optimiser begins afresh. Whether an earlier training may be gone on from is decided by whoever hands it over
(`stored.earlier`); a kind of model that cannot be gone on from says so here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.storage.digests import array_digest, text_digest
from mrs_pipeline.types import BoolArray, IntArray

CONTENT_RIDGE: Final = 0.1
"""Weight of the ridge penalty, as a share of the mean square of a feature over the rows that the map is fitted to."""


@dataclass(frozen=True)
class Renumbered:
    """Users, or items, of a window as the window before numbered them.

    Attributes:
        former: [n] int64 number in the window before; -1 for those that it did not have.
        trained: [n_before] bool whether they had a training row then.
    """

    former: IntArray
    trained: BoolArray

    @property
    def n_before(self) -> int:
        """How many the window before had."""
        return len(self.trained)


def told_apart(users: Renumbered, items: Renumbered) -> bool:
    """Whether the rows of a table show by their number in both windows whose they are."""
    return (len(users.former), users.n_before) != (len(items.former), items.n_before)


@dataclass(frozen=True)
class WarmStart:
    """A trained model of the window before.

    Attributes:
        window: its key.
        weights: its state dict.
        users: of the window that is trained now.
        items: of the window that is trained now.
        known_validation: validation rows of now that it was trained on; 0 where every window is cut later than the
            one before.
    """

    window: str
    weights: Mapping[str, Tensor]
    users: Renumbered
    items: Renumbered
    known_validation: int = 0

    @property
    def digest(self) -> str:
        """Of all that decides where the training begins."""
        names = sorted(self.weights)
        arrays = [self.weights[name].detach().cpu().numpy() for name in names]
        sides = [part for side in (self.users, self.items) for part in (side.former, side.trained)]
        return text_digest(*names, array_digest(*arrays, *sides))


@dataclass(frozen=True)
class CarriedOver:
    """What of an earlier training a model began from.

    Attributes:
        window: of the earlier training.
        users: rows of users that were carried over.
        new_users: users with training rows that begin from the model's own first values.
        items: rows of items that were carried over.
        new_items: items with training rows that begin elsewhere.
        from_content: those of `new_items` whose rows were computed from features.
        afresh: tensors that have another shape now and begin from the model's own first values.
        known_validation: as in `WarmStart`.
    """

    window: str
    users: int
    new_users: int
    items: int
    new_items: int
    from_content: int
    afresh: tuple[str, ...]
    known_validation: int = 0


def why_never(spec: ModelSpec) -> str | None:
    """Why a kind of model cannot go on from an earlier training, as a clause; None where it can."""
    if spec.batches is BatchKind.NONE:
        return f"{spec.name} is solved in closed form"
    if spec.knowledge:
        return f"{spec.name} learns vectors of what the knowledge graph names, which is numbered anew in each window"
    return None


def carry_over(
    model: AnyRecommender, inputs: ModelInputs, start: WarmStart, share: float = 1.0
) -> CarriedOver:
    """Puts the weights of an earlier training into a model that has just been built.

    A tensor whose first dimension counts users (items) in both windows is carried over row by row; one of equal shape
    as a whole; any other keeps its first values. A row that has training rows now and had none then is new: that of an
    item is the ridge regression of the carried rows on the items' features, where the model looks at features; that of
    a user, and where there are no features, the model's own first values. A row without training rows in both windows
    is carried over like any other, and one that has lost its training rows keeps its first values.

    Args:
        model: as it was built, changed in place.
        inputs: what it was built from.
        start: the earlier training.
        share: of an earlier row in the row of a user or item; the rest is its first value.

    Raises:
        ValueError: users and items cannot be told apart by how many there are.
    """
    sides = {"users": start.users, "items": start.items}
    if not told_apart(start.users, start.items):
        raise ValueError("there are as many users as items in both windows")
    seen = {"users": inputs.users_seen().cpu().numpy(), "items": inputs.items_seen().cpu().numpy()}
    rows = {name: _Rows.of(side, seen[name]) for name, side in sides.items()}
    content = _content(model.spec, inputs)
    described = np.zeros(inputs.n_items, np.bool_) if content is None else content[1].cpu().numpy()
    state, afresh, computed = model.state_dict(), [], False
    for name, own in state.items():
        then = start.weights.get(name)
        side = next(
            (key for key, each in sides.items() if then is not None and _counts(then, own, each)), None
        )
        if then is not None and side is not None:
            before = own.clone()
            _fill(own, then, rows[side], share)
            if side == "items" and content is not None and _learned_by_row(before, inputs):
                computed |= _fill_from_content(own, content, rows[side])
        elif then is not None and then.shape == own.shape:
            own.copy_(then)
        else:
            afresh.append(name)
    model.load_state_dict(state)
    new = rows["items"].new
    return CarriedOver(
        window=start.window,
        users=len(rows["users"].to),
        new_users=int(rows["users"].new.sum()),
        items=len(rows["items"].to),
        new_items=int(new.sum()),
        from_content=int((new & described).sum()) if computed else 0,
        afresh=tuple(afresh),
        known_validation=start.known_validation,
    )


@dataclass(frozen=True)
class _Rows:
    """Which rows of a table are carried over: `to` [n] from `source` [n]; `fit` [N] bool trained in both windows."""

    to: Tensor
    source: Tensor
    fit: BoolArray
    new: BoolArray

    @classmethod
    def of(cls, side: Renumbered, seen: BoolArray) -> "_Rows":
        known = side.former >= 0
        trained = np.zeros(len(known), np.bool_)
        trained[known] = side.trained[side.former[known]]
        carried = known & (trained == seen)
        to = np.flatnonzero(carried)
        return cls(
            torch.from_numpy(to),
            torch.from_numpy(side.former[to]),
            fit=carried & trained,
            new=seen & ~carried,
        )


def _counts(then: Tensor, own: Tensor, side: Renumbered) -> bool:
    """Whether the first dimension of both counts the rows of a side, and the others are alike."""
    return (
        then.dim() > 0
        and then.shape[1:] == own.shape[1:]
        and (then.shape[0], own.shape[0]) == (side.n_before, len(side.former))
    )


def _fill(own: Tensor, then: Tensor, rows: _Rows, share: float) -> None:
    to, earlier = rows.to.to(own.device), then.to(own.device)[rows.source.to(own.device)]
    own[to] = torch.lerp(own[to], earlier, share) if own.is_floating_point() else earlier


def _content(spec: ModelSpec, inputs: ModelInputs) -> tuple[Tensor, Tensor] | None:
    """[I, F + M + 1] features side by side with their masks and a one, [I] bool those that have any; None without."""
    if spec.features is FeatureUse.IGNORED or not inputs.features:
        return None
    masks = torch.stack([inputs.present[name] for name in inputs.features], dim=1)
    ones = torch.ones(inputs.n_items, 1, device=inputs.device)
    return torch.cat([*inputs.features.values(), masks.float(), ones], dim=1), masks.any(1)


def _learned_by_row(first: Tensor, inputs: ModelInputs) -> bool:
    """Whether a table of items begins from chance; one that begins from features has better first values."""
    return first.is_floating_point() and not any(
        first.shape == rows.shape and torch.equal(first, rows) for rows in inputs.features.values()
    )


def _fill_from_content(own: Tensor, content: tuple[Tensor, Tensor], rows: _Rows) -> bool:
    """Puts the ridge regression of carried rows on features into new rows that have features; whether there are any."""
    features, described = content
    fit = torch.from_numpy(rows.fit).to(own.device) & described
    new = torch.from_numpy(rows.new).to(own.device) & described
    if not bool(fit.any()) or not bool(new.any()):
        return False
    known, targets = features[fit].double(), own[fit].double().flatten(1)
    gram = known.T @ known
    gram.diagonal().add_(CONTENT_RIDGE * gram.diagonal().mean())
    weights = torch.linalg.solve(gram, known.T @ targets)
    own[new] = (features[new].double() @ weights).to(own.dtype).view(-1, *own.shape[1:])
    return True
