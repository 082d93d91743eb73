"""What every model is: the `Recommender`, the batches it is trained on, what the optimiser gets of it.

What a model declares is in `spec`, its settings in `config`, what it is built from in `inputs`. Modules that several
models share belong in `layers`; the list of models in `registry`; how batches are drawn, in `training.batches`. The
base holds no loss, no graph and no feature handling.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Never, NotRequired, Protocol, TypedDict, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.folding import users_from_items
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec, unmet_need
from mrs_pipeline.types import Interactions, vectors_of_users

Scorer = Callable[[Tensor], Tensor]
"""Users [B] int64 -> scores [B, I] float32 of all items, a fresh tensor that the caller may change."""


HistoryScorer = Callable[[OrderedHistories], Tensor]
"""Histories [B] of anybody -> scores [B, I] float32 of all items, a fresh tensor."""

HistoryVectors = Callable[[OrderedHistories], Tensor]
"""Histories [B] of anybody -> vectors [B, D] that stand for users."""


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
    """A step of `BatchKind.SEQUENCES`: B subsequences of histories, padded on the left (see `functional.sequences`).

    Attributes:
        users: [B] int64 whose they are.
        tokens: [B, K] int64 items in the order of time, `n_items` where a history starts, `PAD` before that.
        targets: [B, K] int64 the item that came after each token; `PAD` after padding.
        n_targets: how many of them are no padding; None where nobody has counted.
        times: [B, K] int64 seconds since 1970 when each token was taken, at starts and padding the time of the first
            item; None for models that read the order alone, and where times are not known.
    """

    users: Tensor
    tokens: Tensor
    targets: Tensor
    n_targets: int | None = None
    times: Tensor | None = None


class BatchSettings(TypedDict, total=False):
    """What a model asks of the source of its batches; a source knows the settings of its own kind only."""

    negatives: int
    """`BatchKind.PAIRS`: items drawn for each positive; one where not given."""
    length: int
    """`BatchKind.SEQUENCES`: tokens of a row at the most."""
    times: bool
    """`BatchKind.SEQUENCES`: whether batches say when tokens were taken."""


class ParameterGroup(TypedDict):
    """Parameters that the optimiser treats alike."""

    params: list[nn.Parameter]
    lr: NotRequired[float]
    """Their step size; the model's `learning_rate` where not given."""


Batch = PairBatch | UserRowBatch | SequenceBatch

ConfigT_co = TypeVar("ConfigT_co", bound=ModelConfig, covariant=True)
"""Settings of a model."""
BatchT_contra = TypeVar("BatchT_contra", bound=Batch, contravariant=True)
"""What a step of a model is given, the class of its spec's `batches`; `Never` for a model solved in closed form."""


class Recommender(nn.Module, Generic[ConfigT_co, BatchT_contra]):
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

    def __init__(self, config: ConfigT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.generator = generator
        self.n_users, self.n_items = inputs.n_users, inputs.n_items
        known = inputs.knowledge is not None and len(inputs.knowledge.heads) > 0
        problem = unmet_need(
            self.spec,
            features=bool(inputs.features),
            knowledge=known,
            raw=bool(inputs.raw),
            tokens=bool(inputs.tokens),
        ) or config.misfit(inputs.features)
        if problem:
            raise InputError(f"model '{self.spec.name}' {problem}")
        self._seen = inputs.items_seen()
        self._training_pairs = (inputs.users, inputs.items)
        self._with_content = _with_content(self.spec, inputs)
        if self.spec.batches is BatchKind.SEQUENCES and inputs.times is None:
            raise InputError(
                f"model '{self.spec.name}' learns from the order of events, but not every interaction has a time; "
                "map the timestamp column under `source:` or choose a model that needs no order"
            )
        if self.spec.pretraining and not inputs.pretrained_by(self.spec.pretraining):
            raise InputError(
                f"model '{self.spec.name}' starts from the item vectors of the pretraining "
                f"'{self.spec.pretraining}' and the data hold none; call `fitting.prepare` first"
            )

    @classmethod
    def factorises(cls) -> bool:
        """Whether its scores are inner products, which `representations` gives."""
        return cls._goes_with_scorer("representations")

    @classmethod
    def folds_in(cls) -> bool:
        """Whether it can rank for a history of somebody that it was not trained on."""
        ways = ("history_scorer", "history_vectors")
        return cls.factorises() or any(cls._goes_with_scorer(way) for way in ways)

    @classmethod
    def _goes_with_scorer(cls, method: str) -> bool:
        """Whether a class below this base defines a method, and no class below that another `scorer`."""
        order = list(cls.__mro__)
        own, scorer = (
            next(at for at, each in enumerate(order) if name in vars(each)) for name in (method, "scorer")
        )
        return own < order.index(Recommender) and own <= scorer

    @property
    def sees_content(self) -> bool:
        """Whether an item's content moves its scores, with these settings."""
        return self.spec.needs_content

    @property
    def rankable(self) -> Tensor:
        """[I] bool: items of which the model knows anything: a training row, or content that it sees.

        The scores of the others are all alike and say nothing; they are ranked nowhere.
        """
        return self._seen | self._with_content if self.sees_content else self._seen

    @property
    def device(self) -> torch.device:
        """Where the model was built."""
        return self.generator.device

    def batch_settings(self) -> BatchSettings:
        """What the source of this model's batches must know beyond the inputs."""
        return {}

    def observe(self, known: Interactions | None) -> None:
        """Takes in what users did after the training rows, or with None forgets it. Changes no parameter.

        A model whose users are vectors learned in training cannot use it and does nothing. For a sequence model
        the user *is* the history: asked for the next item without the latest ones it is asked another question.
        `fitting` says when it may know what.
        """

    def parameter_groups(self) -> list[ParameterGroup]:
        """Parameters for the optimiser, in groups that may have a step size of their own (`lr`)."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def start_epoch(self) -> None:
        """Called before each training epoch, for models that resample or rebuild a graph."""

    def loss(self, batch: BatchT_contra) -> dict[str, Tensor]:
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

    def history_vectors(self) -> tuple[HistoryVectors, Tensor]:
        """Vectors of users who are nothing but a history, and item vectors [I, D]; inner products are the scores.

        Where users are vectors learned in training, a history is given what a linear map, fitted to the users of
        training, makes of the vectors of its items (`functional.folding`): near to training, and no more than that.
        """
        users, items = self.representations()
        return users_from_items(users, items, *self._training_pairs), items

    def history_scorer(self) -> HistoryScorer:
        """As `scorer`, for histories of anybody in place of users of training."""
        vectors, items = self.history_vectors()
        columns = items.T.contiguous()
        return lambda histories: vectors(histories) @ columns

    def item_paths(self) -> dict[str, Tensor]:
        """What item vectors are sums of: path -> [I, D]; empty where they are no sum.

        A path is a modality, or `id` for what is learned of the item itself. With a user's vector each gives its share
        of the score, and the shares add up to it.
        """
        return {}

    def weight_paths(self) -> dict[str, Tensor]:
        """What the weights from items of a history to items are sums of: path -> [I, I], any layout; else empty."""
        return {}

    def fold_in(self, histories: OrderedHistories) -> Tensor:
        """Scores [B, I] of all items for anybody who took what `histories` say, without any training."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            scores = self.history_scorer()(histories)
        self.train(was_training)
        return scores

    def score(self, users: Tensor) -> Tensor:
        """Scores [B, I] of all items for `users` [B] int64."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            scores = self.scorer()(users)
        self.train(was_training)
        return scores


def _with_content(spec: ModelSpec, inputs: ModelInputs) -> Tensor:
    """[I] bool: items with any content of the kinds that a model looks at."""
    masks = [torch.zeros(inputs.n_items, dtype=torch.bool, device=inputs.device)]
    if spec.features is not FeatureUse.IGNORED:
        masks += inputs.present.values()
    if spec.raw is not FeatureUse.IGNORED:
        masks += [content.present for content in inputs.raw.values()]
    if spec.tokens is not FeatureUse.IGNORED:
        masks += [tokens.present for tokens in inputs.tokens.values()]
    if spec.pretraining:
        keys = inputs.pretrained_by(spec.pretraining)
        masks += [inputs.pretrained_present[key] for key in keys if not vectors_of_users(key)]
    if spec.knowledge and inputs.knowledge is not None:
        masks.append(inputs.knowledge.named()[: inputs.n_items])
    return torch.stack(masks).any(0)


AnyRecommender = Recommender[ModelConfig, Never]
"""A model, whatever its settings and its batches are."""


@runtime_checkable
class HasTokenMaps(Protocol):
    """A model that attends to regions of pictures or words of texts."""

    def token_maps(self, user: Tensor, items: Tensor) -> dict[str, Tensor]:
        """Modality -> [n, T] attention of `user` [1] int64 to the tokens of `items` [n] int64.

        A row sums to one over the tokens that the item has, and is zero where it has none.
        """
        ...


@runtime_checkable
class HasParts(Protocol):
    """A model whose vectors fall into parts that are meant to know different things."""

    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Part -> user vectors [U, d] and item vectors [I, d]; their inner products are the part's say in scores."""
        ...
