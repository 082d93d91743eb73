"""DropoutNet-style wrapper: a model of identifiers learns to do without them.

Volkovs, Yu & Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017.
https://papers.nips.cc/paper/7081-dropoutnet-addressing-cold-start-in-recommender-systems

Equation: a backbone of identifiers q_i is trained by its own loss on q'_i = g(x_i) with probability `dropout`, else
q_i, drawn for each item of a batch; g(x) = W_2 leaky_relu(sum_m (W_m x^m + b_m)) + b_2. When scoring, items seen
in training keep q_i and all others are g(x_i).

Deviations: only the idea is the paper's, which puts a network over finished latent factors of users and items; here
the identifier itself is replaced inside a model that is trained from scratch, and users have no content. In a graph
model a replaced item keeps its edges. A modality that an item lacks gives it a learned vector of that modality in
place of W_m x.

Complexity: the backbone's step plus O(B (F D + D^2)).
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils import parametrize

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import once
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.models.wrapping import require_wrapped, wrapped_config
from mrs_pipeline.taxonomy import Cell


class DropoutNetConfig(GradientConfig):
    """Settings of the wrapper."""

    search_space: ClassVar[SearchSpace] = {"dropout": (0.2, 0.5, 0.8)}

    backbone: str = "lightgcn"
    """Name of the model that is wrapped: one that needs interactions alone and has an identifier for each item."""
    settings: Mapping[str, object] = {}
    """Overrides of the backbone's own settings; embedding size and learning rate are the wrapper's."""
    dropout: float = Field(default=0.5, gt=0, le=1)
    """Probability that an item of a batch shows its content in place of its identifier."""

    def wrapped(self) -> tuple[str, ...]:
        """The backbone."""
        return (self.backbone,)

    def inner(self) -> GradientConfig:
        """The backbone's settings."""
        shared = {"embedding_size": self.embedding_size, "learning_rate": self.learning_rate}
        config = wrapped_config(_backbone(self.backbone), self.settings, shared)
        assert isinstance(config, GradientConfig), "what learns identifiers has a step size"
        return config

    _can_be_wrapped = model_validator(mode="after")(require_wrapped)


class DropoutNet(Recommender[DropoutNetConfig, PairBatch]):
    """A backbone whose item identifiers may be replaced by content; see the module."""

    spec = ModelSpec(
        name="dropoutnet",
        title="DropoutNet-style",
        paper="after Volkovs et al., NeurIPS 2017",
        url="https://papers.nips.cc/paper/7081-dropoutnet-addressing-cold-start-in-recommender-systems",
        cells=frozenset({Cell.OTHER_FUSION}),
        complexity="backbone + O(B (F D + D^2))",
        features=FeatureUse.REQUIRED,
    )
    Config = DropoutNetConfig

    def __init__(self, config: DropoutNetConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self.backbone = _backbone(config.backbone)(config.inner(), inputs, generator)
        self._cold = torch.nonzero(~inputs.items_seen()).flatten()
        self.content = _ContentVectors(inputs, config.embedding_size, generator)
        # not the module, which would be registered twice
        self._shown = _ShownVectors(self.content.forward, inputs.device)
        parametrize.register_parametrization(self.backbone, "item_embedding", self._shown, unsafe=True)

    def start_epoch(self) -> None:
        """The backbone's own preparation."""
        self.backbone.start_epoch()

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """The backbone's loss, some of the batch's items showing their content."""
        items, fills = once(torch.cat([batch.positives, batch.negatives]))
        draw = torch.rand(len(items), generator=self.generator, device=items.device)
        chosen = marked(draw < self.config.dropout)
        self._shown.replaced = chosen.take(items)
        self._shown.weights = (
            chosen.weights if fills is None or chosen.weights is None else chosen.weights * fills
        )
        with parametrize.cached():
            return self.backbone.loss(batch)

    def representations(self) -> tuple[Tensor, Tensor]:
        """The backbone's, with the content of items that training never saw."""
        self._shown.replaced, self._shown.weights = self._cold, None
        with parametrize.cached():
            return self.backbone.representations()


class _ContentVectors(nn.Module):
    """g: projected modalities, added up, through one hidden layer."""

    def __init__(self, inputs: ModelInputs, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.projection = ModalityProjection(inputs, size, generator)
        self.out = linear(size, size, generator)

    def forward(self, items: Tensor) -> Tensor:
        """[B, D] of `items` [B]."""
        vectors: Tensor = self.out(leaky_relu(self.projection.summed(items)))
        return vectors


class _ShownVectors(nn.Module):
    """Identifiers [I, D] with the rows of `replaced` [n] made from content, where `weights` [n] are not zero."""

    def __init__(self, content: Callable[[Tensor], Tensor], device: torch.device) -> None:
        super().__init__()
        self._content = content
        self.replaced = torch.empty(0, dtype=torch.int64, device=device)
        self.weights: Tensor | None = None

    def forward(self, identifiers: Tensor) -> Tensor:
        """[I, D]."""
        if not len(self.replaced):
            return identifiers
        content = self._content(self.replaced)
        if self.weights is None:
            return identifiers.index_copy(0, self.replaced, content)
        # a row that only fills up stands for one that may be replaced: it adds nothing to it
        change = (content - take_rows(identifiers, self.replaced)) * self.weights.unsqueeze(1)
        return identifiers.index_add(0, self.replaced, change)


def _backbone(name: str) -> type[IdentifierRecommender[GradientConfig]]:
    """The model of that name; InputError for one that is not there or cannot be wrapped."""
    from mrs_pipeline.models.registry import model_class  # the registry lists this model, too

    kind = model_class(name)
    if not issubclass(kind, IdentifierRecommender) or kind.spec.needs_content:
        raise InputError(
            f"'{name}' cannot be wrapped: a backbone needs interactions alone and learns identifiers of items from "
            "pairs, as lightgcn and bpr_mf do"
        )
    return kind
