"""What every model is, gets and gives: specification, configuration, inputs, batches, the `Recommender`.

Modules that several models share belong in `blocks`; the list of models in `registry`; how batches are drawn,
in `training.batches`. The base holds no loss, no graph and no feature handling.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.sparse import Csr, take_rows
from mrs_pipeline.models.knowledge import KnowledgeTensors
from mrs_pipeline.taxonomy import Cell
from mrs_pipeline.types import FeatureMatrix, Interactions, RawContent, SparseGraph, TrainingData

Scorer = Callable[[Tensor], Tensor]
"""Users [B] int64 -> scores [B, I] float32 of all items, a fresh tensor that the caller may change."""


class FeatureUse(StrEnum):
    """What a model does with item features."""

    IGNORED = "ignored"
    OPTIONAL = "optional"
    REQUIRED = "required"


class BatchKind(StrEnum):
    """How training rows are drawn for a model; each kind has one source in `training.batches`."""

    PAIRS = "pairs"
    """One positive item and one negative, or several, for each training interaction."""
    USER_ROWS = "user_rows"
    """Users with all that they have taken."""
    SEQUENCES = "sequences"
    """Stretches of users' histories in the order of time; each position's target is the item that came next."""
    NONE = "none"
    """Nothing is drawn: the model is solved in closed form."""


@dataclass(frozen=True)
class PairBatch:
    """A step of `BatchKind.PAIRS`.

    Attributes:
        users: [B] int64.
        positives: [B] int64 an item that each user has taken.
        negatives: [B] int64 an item that each user has not taken; [B, n] for a model whose `batch_settings` ask
            for several: row b holds the n negatives of `users[b]`.
    """

    users: Tensor
    positives: Tensor
    negatives: Tensor


class Needs(Protocol):
    """What a spec says of the data that have to be there."""

    @property
    def features(self) -> FeatureUse:
        """Whether item features are ignored, used where they are, or needed."""
        ...

    @property
    def item_graph(self) -> bool:
        """Whether the modalities' kNN item graphs are needed."""
        ...

    @property
    def user_graph(self) -> bool:
        """Whether the graph of users who share items is needed."""
        ...

    @property
    def raw(self) -> FeatureUse:
        """Whether decoded raw content is ignored, used where it is, or needed."""
        ...

    @property
    def knowledge(self) -> bool:
        """Whether a knowledge graph of the items is needed."""
        ...

    @property
    def pretraining(self) -> str | None:
        """The pretrainer whose item vectors are needed."""
        ...


@dataclass(frozen=True)
class UserRowBatch:
    """A step of `BatchKind.USER_ROWS`.

    Attributes:
        users: [B] int64, each once.
        rows: [B, I] of ones: the training items of each user.
    """

    users: Tensor
    rows: Csr


@dataclass(frozen=True)
class SequenceBatch:
    """A step of `BatchKind.SEQUENCES`: B stretches of histories, padded on the left (see `functional.sequences`).

    Attributes:
        users: [B] int64 whose they are.
        tokens: [B, K] int64 items in the order of time, `n_items` where a history starts, `PAD` before that.
        targets: [B, K] int64 the item that came after each token; `PAD` after padding.
    """

    users: Tensor
    tokens: Tensor
    targets: Tensor


@dataclass(frozen=True)
class ModelSpec:
    """What a model declares about itself; assets, tags, tables and checks are derived from it.

    Attributes:
        name: registry key and asset name, lower case.
        title: as the paper writes it.
        paper: authors, venue, year.
        url: where the paper is.
        cells: the taxonomy cells it belongs to.
        complexity: cost of one training step or solution, in the shape letters of `types`.
        features: whether it ignores, may use or needs item features (of any set of modalities).
        item_graph: whether it needs the modalities' kNN item graphs.
        user_graph: whether it needs the graph of users who share items.
        pretraining: name of the pretrainer whose item vectors it starts from, if it is the second of two steps.
        knowledge: whether it needs a knowledge graph of the items.
        batches: how its training rows are drawn.
        raw: whether it ignores, may use or needs decoded raw content, on which it trains an encoder.
        code: modules below `mrs_pipeline`, beside its own and those that all models use, whose source decides
            what it does.
        histories: whether a user is nothing but what they took, so that the model, built with further users and given
            its trained weights, ranks for them as if it had known them.
    """

    name: str
    title: str
    paper: str
    url: str
    cells: frozenset[Cell]
    complexity: str
    features: FeatureUse = FeatureUse.IGNORED
    item_graph: bool = False
    user_graph: bool = False
    pretraining: str | None = None
    knowledge: bool = False
    batches: BatchKind = BatchKind.PAIRS
    raw: FeatureUse = FeatureUse.IGNORED
    code: tuple[str, ...] = ()
    histories: bool = False


SearchSpace = Mapping[str, tuple[Any, ...]]
"""Field of a `Config` -> values that tuning may choose from."""


class ModelConfig(BaseModel):
    """Settings of a model. Subclasses add fields with bounds, the paper's defaults and a docstring each."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    search_space: ClassVar[SearchSpace] = {}


class GradientConfig(ModelConfig):
    """Settings of a model that is trained by gradient steps on embeddings."""

    embedding_size: int = Field(default=64, ge=1, le=4096)
    """Width D of user and item vectors."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """Adam's step size."""


@dataclass(frozen=True)
class RawTensors:
    """Raw content of one modality on the device.

    Attributes:
        values: [I, 3, H, W] uint8 or [I, T] int32; rows that are not present may hold anything.
        present: [I] bool.
        content: what it came from: vocabulary, colour scale, network.
    """

    values: Tensor
    present: Tensor
    content: RawContent


@dataclass(frozen=True)
class ModelInputs:
    """`TrainingData` as tensors on one device; all that a model may see while it is built.

    Attributes:
        n_users: U.
        n_items: I.
        users: [E] int64 users of the training pairs, each pair once, in the order of users and items: what a model
            of pairs learns does not depend on whether the source has times.
        items: [E] int64 items of the training pairs.
        times: [E] int64 when each pair occurred first; None where the source has no time.
        features: modality -> [I, F] float32, zero where missing; modalities in alphabetical order.
        present: modality -> [I] bool.
        item_graphs: modality -> kNN graph [I, I], cosine weights.
        user_graph: [U, U] users who share items, weights how many; None where no model here needs it.
        pretrained: `<pretrainer>` or `<pretrainer>/<part>` -> [I, D] float32, zero where there is no vector.
        pretrained_present: the same keys -> [I] bool.
        knowledge: triples about the items, or None.
        device: where all of it lies.
        raw: modality -> decoded content, in alphabetical order; on a CPU a memory map stays one.
    """

    n_users: int
    n_items: int
    users: Tensor
    items: Tensor
    times: Tensor | None = None
    features: Mapping[str, Tensor] = field(default_factory=dict)
    present: Mapping[str, Tensor] = field(default_factory=dict)
    item_graphs: Mapping[str, Csr] = field(default_factory=dict)
    user_graph: Csr | None = None
    pretrained: Mapping[str, Tensor] = field(default_factory=dict)
    pretrained_present: Mapping[str, Tensor] = field(default_factory=dict)
    knowledge: KnowledgeTensors | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    raw: Mapping[str, RawTensors] = field(default_factory=dict)

    @classmethod
    def from_data(cls, data: TrainingData, device: torch.device | str = "cpu") -> "ModelInputs":
        """Copies training pairs, each once, features and graphs to `device`; validation rows stay behind."""
        device = torch.device(device)
        train = data.train
        first = np.unique(train.users * train.n_items + train.items, return_index=True)[1]
        matrices = _checked(data.features, train.n_items)
        vectors = _checked(data.pretrained, train.n_items)
        return cls(
            n_users=train.n_users,
            n_items=train.n_items,
            users=torch.from_numpy(train.users[first]).to(device),
            items=torch.from_numpy(train.items[first]).to(device),
            times=None if train.times is None else torch.from_numpy(train.times[first]).to(device),
            features={name: _values(matrix, device) for name, matrix in matrices.items()},
            present={name: _mask(matrix, device) for name, matrix in matrices.items()},
            item_graphs={name: _graph(data.item_graphs[name], device) for name in sorted(data.item_graphs)},
            user_graph=None if data.user_graph is None else _graph(data.user_graph, device),
            pretrained={name: _values(matrix, device) for name, matrix in vectors.items()},
            pretrained_present={name: _mask(matrix, device) for name, matrix in vectors.items()},
            knowledge=None
            if data.knowledge is None
            else KnowledgeTensors.from_graph(data.knowledge, data.train.n_items, device),
            device=device,
            raw={name: _raw(data.raw[name], train.n_items, device) for name in sorted(data.raw)},
        )

    def pretrained_by(self, pretrainer: str) -> list[str]:
        """Keys of `pretrained` that the pretrainer of that name has made."""
        return [key for key in self.pretrained if key.partition("/")[0] == pretrainer]

    def users_seen(self) -> Tensor:
        """[U] bool: users with a training row."""
        return torch.bincount(self.users, minlength=self.n_users) > 0

    def items_seen(self) -> Tensor:
        """[I] bool: items with a training row; the others are cold."""
        return torch.bincount(self.items, minlength=self.n_items) > 0


def _checked(matrices: Mapping[str, FeatureMatrix], n_items: int) -> dict[str, FeatureMatrix]:
    """The matrices in alphabetical order."""
    for matrix in matrices.values():
        if len(matrix.values) != n_items or len(matrix.present) != n_items:
            raise InputError(
                f"feature matrix '{matrix.name}' has {len(matrix.values)} rows but the dataset {n_items} items; "
                "extract the features again for this catalogue"
            )
    return {name: matrices[name] for name in sorted(matrices)}


def _mask(matrix: FeatureMatrix, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(matrix.present)).to(device)


def _values(matrix: FeatureMatrix, device: torch.device) -> Tensor:
    values = np.array(matrix.values, dtype=np.float32)  # a copy: memory maps may be read-only
    values[~matrix.present] = 0.0
    if not np.isfinite(values).all():
        raise InputError(
            f"feature matrix '{matrix.name}' holds a NaN or infinite value in the row of item "
            f"{int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])}; extract the features again"
        )
    return torch.from_numpy(values).to(device)


def _raw(content: RawContent, n_items: int, device: torch.device) -> RawTensors:
    if len(content.values) != n_items or len(content.present) != n_items:
        raise InputError(
            f"raw content '{content.name}' has {len(content.values)} rows but the dataset {n_items} items; "
            "decode it again for this catalogue"
        )
    values = content.values if content.values.flags.writeable else np.array(content.values)
    present = torch.from_numpy(np.array(content.present)).to(device)
    return RawTensors(torch.from_numpy(values).to(device), present, content)


def _graph(graph: SparseGraph, device: torch.device) -> Csr:
    parts = (graph.indptr, graph.indices, graph.weights)
    indptr, indices, weights = (torch.from_numpy(np.array(part)).to(device) for part in parts)
    return Csr(indptr, indices, weights, graph.shape)


class Recommender(nn.Module):
    """A model of the zoo.

    A subclass sets `spec` and `Config`, builds its parameters on `inputs.device`, and implements

    - `loss` and `representations`, if it is trained by gradients and scores by inner products;
    - `loss` and `scorer`, if its scores do not factorise;
    - `fit_closed_form` and one of `representations` or `scorer`, if it is solved (`BatchKind.NONE`).

    All randomness, from the first weights to dropout, comes from `self.generator`, so that a checkpoint which
    keeps its state resumes exactly. What is derived from the inputs is kept outside the state dict.
    """

    spec: ClassVar[ModelSpec]
    Config: ClassVar[type[ModelConfig]]

    def __init__(self, config: ModelConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__()
        self.config: Any = config
        self.generator = generator
        self.n_users, self.n_items = inputs.n_users, inputs.n_items
        if self.spec.batches is BatchKind.SEQUENCES and inputs.times is None:
            raise InputError(
                f"model '{self.spec.name}' learns from the order of events, but not every interaction has a time; "
                "map the timestamp column under `source:` or choose a model that needs no order"
            )
        if self.spec.features is FeatureUse.REQUIRED and not inputs.features:
            raise InputError(
                f"model '{self.spec.name}' needs item features and the dataset has none; list a feature set "
                "under `features:` or choose a model that learns from interactions alone"
            )
        if self.spec.pretraining and not inputs.pretrained_by(self.spec.pretraining):
            raise InputError(
                f"model '{self.spec.name}' starts from the item vectors of the pretraining "
                f"'{self.spec.pretraining}' and the data hold none; call `fitting.prepare` first"
            )
        if self.spec.knowledge and (inputs.knowledge is None or not len(inputs.knowledge.heads)):
            raise InputError(
                f"model '{self.spec.name}' needs a knowledge graph and the dataset has none; add a `knowledge:` "
                "section that names attributes of the items or a file of triples, or leave the model out"
            )

        if self.spec.raw is FeatureUse.REQUIRED and not inputs.raw:
            raise InputError(
                f"model '{self.spec.name}' needs raw content, decoded pictures or tokens, and the dataset has none; "
                "list a modality under `raw:` or choose a model that works on extracted features"
            )

    @property
    def device(self) -> torch.device:
        """Where the model was built."""
        return self.generator.device

    def batch_settings(self) -> Mapping[str, Any]:
        """What the source of this model's batches must know beyond the inputs, by name of its arguments."""
        return {}

    def observe(self, known: Interactions | None) -> None:
        """Takes in what users did after the training rows, or with None forgets it. Changes no parameter.

        A model whose users are vectors learned in training cannot use it and does nothing. For a sequence model
        the user *is* the history: asked for the next item without the latest ones it is asked another question.
        `fitting` says when it may know what.
        """

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters for the optimiser, in groups that may have a step size of their own (`lr`)."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def start_epoch(self) -> None:
        """Called before each training epoch, for models that resample or rebuild a graph."""

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """Named terms whose sum is minimised, weights included; each a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} is not trained by gradient steps")

    def fit_closed_form(self) -> None:
        """Solves the model; only for `BatchKind.NONE`."""
        raise NotImplementedError(f"{type(self).__name__} has no closed form")

    def representations(self) -> tuple[Tensor, Tensor]:
        """User vectors [U, D] and item vectors [I, D] whose inner products are the scores."""
        raise NotImplementedError(f"the scores of {type(self).__name__} do not factorise")

    def scorer(self) -> Scorer:
        """A function from users to scores of all items, for the parameters as they are now.

        What all users share (a propagation, a projection) is computed once, here, and not once a batch.
        """
        users, items = self.representations()
        columns = items.T.contiguous()
        return lambda batch: take_rows(users, batch) @ columns

    def score(self, users: Tensor) -> Tensor:
        """Scores [B, I] of all items for `users` [B] int64."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            scores = self.scorer()(users)
        self.train(was_training)
        return scores


@runtime_checkable
class HasParts(Protocol):
    """A model whose vectors fall into parts that are meant to know different things."""

    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Part -> user vectors [U, d] and item vectors [I, d]; their inner products are the part's say in scores."""
        ...
