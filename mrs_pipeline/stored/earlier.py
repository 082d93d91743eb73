"""The model of the window before as a start for that of this window: whether it fits, and whose row is whose.

What is done with it is `training.warm_start`. At most `MOST_CHECKED_ITEMS` items are compared, evenly spaced.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from mrs_pipeline.encoders.joining import join
from mrs_pipeline.fitting import WEIGHTS
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.schema import ITEM, ITEM_ID, TRAIN, USER, USER_ID
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.stored.raw_content import read_raw_content
from mrs_pipeline.stored.token_sets import read_tokens
from mrs_pipeline.stored.trained import trained_directory
from mrs_pipeline.stored.training_data import interactions
from mrs_pipeline.stored.vectors import read_vectors
from mrs_pipeline.tasks.currency import why_afresh
from mrs_pipeline.tasks.node import CORE_ITEMS, CORE_USERS, Kind, Node
from mrs_pipeline.tasks.places import table_of, window_before
from mrs_pipeline.tasks.task import Stage, Task
from mrs_pipeline.training.warm_start import CarriedOver, Renumbered, WarmStart, told_apart, why_never
from mrs_pipeline.types import BoolArray, IntArray, Interactions, TrainingData, vectors_of_users

LOG = logging.getLogger("mrs_pipeline")
MOST_CHECKED_ITEMS: Final = 20_000
"""Most items whose content is compared between the windows."""
MOST_UNLIKE: Final = 0.01
"""Greatest difference, as a share of a row's length, of the middle one of the rows that are compared."""


@dataclass(frozen=True)
class EarlierWindow:
    """The window before as this one sees it: how its users and items were numbered."""

    stage: Stage
    users: Renumbered
    items: Renumbered
    known_validation: int

    def start(self, weights: dict[str, torch.Tensor]) -> WarmStart:
        """The start that weights of it are."""
        return WarmStart(self.stage.window, weights, self.users, self.items, self.known_validation)


@dataclass(frozen=True)
class Starts:
    """Where the trainings of a task begin, one a seed.

    Attributes:
        name: the model.
        window: the window before; None where they begin from scratch.
        reason: why they do, as a clause; None where they need no reason.
    """

    name: str
    window: EarlierWindow | None = None
    reason: str | None = None

    def of(self, seed: int) -> WarmStart | None:
        """Where the training of a seed begins; None for from scratch."""
        return None if self.window is None else self.window.start(weights_of(self.window, self.name, seed))

    def facts(self, carried: Sequence[CarriedOver | None]) -> dict[str, object]:
        """For people: what was carried over, the same for every seed; nothing where no warm start is asked for."""
        if self.reason is not None:
            return {"began from": f"scratch: {self.reason}"}
        first = carried[0] if carried else None
        if first is None:
            return {}
        return {
            "began from": f"window {first.window}",
            "rows of users carried over": first.users,
            "new rows of users": first.new_users,
            "rows of items carried over": first.items,
            "new rows of items": first.new_items,
            "new rows of items from content": first.from_content,
            "tensors begun afresh": ", ".join(first.afresh) or "none",
            "validation rows that the start was trained on": first.known_validation,
        }


def starts_of(stage: Stage, task: Task, data: TrainingData) -> Starts:
    """Where the trainings of a task begin; one line says why it is from scratch where a warm start was asked for.

    Args:
        stage: dataset and window.
        task: that trains or refits the model.
        data: what the model is trained on now.
    """
    name = task.subject
    if not (stage.config.windowed and stage.config.training_of(name).warm_start):
        return Starts(name)
    spec, before = MODELS[name].spec, window_before(stage)
    never = why_never(spec)
    if never is not None:
        return Starts(name, reason=never)
    found = why_afresh(stage, task)
    if found is None and before is not None:
        window = compared_windows(stage, before, spec, data)
        if isinstance(window, EarlierWindow):
            return Starts(name, window)
        found = window
    LOG.info("%s %s %s begins from scratch: %s", stage.config.name, stage.window, task.name, found)
    return Starts(name, reason=found)


def compared_windows(stage: Stage, before: Stage, spec: ModelSpec, data: TrainingData) -> EarlierWindow | str:
    """An earlier window beside this one, or why a model's weights mean something else here, as a clause."""
    users, items = (
        _former(stage, before, node, key, number)
        for node, key, number in ((CORE_USERS, USER_ID, USER), (CORE_ITEMS, ITEM_ID, ITEM))
    )
    unlike = next(_unlike(before, stage, spec, data, items), None)
    if unlike is not None:
        return f"{unlike} describes the same items otherwise than in window {before.window}"
    rows = interactions(before, TRAIN)
    sides = (
        Renumbered(users, _trained(rows.users, rows.n_users)),
        Renumbered(items, _trained(rows.items, rows.n_items)),
    )
    if not told_apart(*sides):
        return "there are as many users as items in both windows, so that their rows cannot be told apart"
    return EarlierWindow(before, *sides, known_validation=_known(rows, data.valid, users, items))


def weights_of(window: EarlierWindow, name: str, seed: int) -> dict[str, torch.Tensor]:
    """The trained weights of one seed of a model at that window."""
    return load_file(trained_directory(window.stage, Node(Kind.TRAINED, name), seed) / WEIGHTS)


def _former(stage: Stage, before: Stage, node: Node, key: str, number: str) -> IntArray:
    """[n] what the users, or items, of a stage were numbered before; -1 where they are new."""
    with stage.lake.connect() as con:
        now, then = (stage.lake.scan(table_of(each, node)) for each in (stage, before))
        columns = con.execute(
            f'SELECT coalesce(old."{number}", -1)::BIGINT AS former FROM {now} AS new LEFT JOIN {then} AS old '
            f'ON new."{key}" = old."{key}" ORDER BY new."{number}"'
        ).fetchnumpy()
    return np.asarray(columns["former"], dtype=np.int64)


def _trained(numbers: IntArray, count: int) -> BoolArray:
    trained: BoolArray = np.bincount(numbers, minlength=count) > 0
    return trained


def _known(rows: Interactions, valid: Interactions, users: IntArray, items: IntArray) -> int:
    """Pairs of `valid` that are among `rows`, which are numbered as before."""
    former_users, former_items = users[valid.users], items[valid.items]
    both = (former_users >= 0) & (former_items >= 0)
    asked = former_users[both] * rows.n_items + former_items[both]
    return int(np.isin(asked, rows.users * rows.n_items + rows.items).sum())


def _unlike(
    before: Stage, stage: Stage, spec: ModelSpec, data: TrainingData, items: IntArray
) -> Iterator[str]:
    """Names of contents whose rows of the same items differ."""
    common = np.flatnonzero(items >= 0)
    common = common[
        np.unique(np.linspace(0, len(common) - 1, min(len(common), MOST_CHECKED_ITEMS)).astype(np.int64))
    ]
    for name, now, then in _contents(before, stage, spec, data):
        if now.values.shape[1:] != then.values.shape[1:]:
            yield name
            continue
        rows = common[now.present[common] & then.present[items[common]]]
        a, b = (
            np.asarray(side, dtype=np.float64).reshape(len(rows), -1)
            for side in (now.values[rows], then.values[items[rows]])
        )
        lengths = np.maximum(np.linalg.norm(a, axis=1), np.finfo(np.float64).tiny)
        if len(rows) and np.median(np.linalg.norm(a - b, axis=1) / lengths) > MOST_UNLIKE:
            yield name


@dataclass(frozen=True)
class _Content:
    values: npt.NDArray[Any]
    present: BoolArray


def _contents(
    before: Stage, stage: Stage, spec: ModelSpec, data: TrainingData
) -> Iterator[tuple[str, _Content, _Content]]:
    """Name, rows of now and rows of then of all that the model sees of items."""
    config = stage.config
    for modality, matrix in data.features.items() if spec.features is not FeatureUse.IGNORED else ():
        then = join([read_features(before, name) for name in config.model_features[modality]])
        yield ", ".join(config.model_features[modality]), _content(matrix), _content(then)
    for modality, tokens in data.tokens.items():
        yield (
            config.model_tokens[modality],
            _content(tokens),
            _content(read_tokens(before, config.model_tokens[modality])),
        )
    for modality, raw in data.raw.items():
        yield f"raw {modality}", _content(raw), _content(read_raw_content(before, modality))
    vectors = read_vectors(before, spec.pretraining) if spec.pretraining else {}
    for key, pretrained in data.pretrained.items():
        if key in vectors and not vectors_of_users(key):
            yield f"pretraining {key}", _content(pretrained), _content(vectors[key])


def _content(matrix: Any) -> _Content:
    return _Content(matrix.values, matrix.present)
