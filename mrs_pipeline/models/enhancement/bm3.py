"""BM3. Zhou et al., "Bootstrap Latent Representations for Multi-modal Recommendation", WWW 2023.

https://arxiv.org/abs/2207.05969

Equation: (u, i) = LightGCN on the user-item graph, i += E_i; q a linear map D -> D; targets carry a tilde:
x~ = dropout(x) through which no gradient flows; C(a, b) = 1 - mean cos(q(a), b~); f^m = W_m x^m + b_m;
loss = C(u, i) + C(i, u) + reg_weight * embedding norm(u, i)
     + contrast_weight * sum_m [ C(f^m, i) + C(f^m, f^m) ]; y_ui = <q(u), q(i)>. No negatives.

Deviations: f^m is computed for the items of a batch only; u and i meet q and the norm for the rows of a batch
only, the norm being that of the MMRec family for a batch (the published code takes whole tables and divides by I);
any number of modalities, an item that lacks one takes no part in that modality's terms. An item that training never
saw has no vector i. The loss makes q(f^m) point where i points, so such an item gets the mean of its q(f^m), at the
mean length of the i that were seen; without any feature it stays zero.
Corrected: targets are dropped out in training alone, whatever mode the module is in.

As published, the linear maps' biases start uniform in +-1 / sqrt(inputs) and not at zero. Beside the first, short
vectors the bias of q is long: training begins with all predictions in one direction, which ranks by popularity, and
leaves it with a dip of some twenty epochs, the default patience. From biases of zero the dip came later, after a
better peak, and training stopped in it. Do not lower the patience for this model. Raw features are fine-tuned, as
published; `train_features: false` keeps them as they are, which saves memory where they are wide.

Complexity: O(E L D + B D^2 + B F D) a step, plus Adam's O((U + I) D + I F), memory O(N D + I F).
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import distinct, marked
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import cosine_distance, embedding_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class Bm3Config(LightGcnBackboneConfig):
    """Settings of BM3."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (1, 2),
        "dropout": (0.3, 0.5),
        "reg_weight": (0.1, 0.01),
    }

    n_layers: int = Field(default=1, ge=0, le=8)
    """Propagation steps L on the user-item graph."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of entries that a target vector loses."""
    reg_weight: float = Field(default=0.1, ge=0)
    """Weight of the norm of propagated vectors."""
    contrast_weight: float = Field(default=2.0, ge=0)
    """Weight of the modalities' terms."""
    train_features: bool = True
    """Whether raw features are fine-tuned; a copy, its gradient and Adam's state take four times their memory."""


class Bm3(LightGcnRecommender[Bm3Config]):
    """Two views of users, items and modalities drawn together without negatives; see the module."""

    spec = ModelSpec(
        name="bm3",
        title="BM3",
        paper="Zhou et al., WWW 2023",
        url="https://arxiv.org/abs/2207.05969",
        cells=frozenset({Cell.CONTRASTIVE, Cell.USER_ITEM_GRAPH, Cell.OTHER_FUSION}),
        complexity="O(E L D + B F D)",
        features=FeatureUse.REQUIRED,
    )
    Config = Bm3Config

    def __init__(self, config: Bm3Config, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._features: Mapping[str, Tensor] = inputs.features
        self._present = inputs.present
        self._warm, self._cold = (torch.nonzero(mask).flatten() for mask in (self._seen, ~self._seen))
        self.predictor = _biased(size, size, generator)
        self.projections = nn.ModuleDict()
        if config.contrast_weight > 0:
            for modality, values in inputs.features.items():
                self.projections[modality] = _biased(values.shape[1], size, generator)
        if config.train_features and self.projections:
            self.features = nn.ParameterDict(
                {name: values.clone() for name, values in inputs.features.items()}
            )
            self._features = dict(self.features.items())

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Users and items of the batch towards each other, modalities towards items and themselves."""
        users, items = self._propagate()
        user, item = take_rows(users, batch.users), take_rows(items, batch.positives)
        user_target, item_target = self._target(user), self._target(item)
        terms = {
            "user_item": cosine_distance(self.predictor(user), item_target),
            "item_user": cosine_distance(self.predictor(item), user_target),
            "reg": self.config.reg_weight * embedding_norm(user, item),
        }
        for modality in self.projections:
            terms[modality] = self.config.contrast_weight * self._modality_loss(
                modality, batch.positives, item_target
            )
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Predicted vectors of users [U, D] and items [I, D]."""
        users, items = self._propagate()
        if len(self._cold) and self.projections:
            length = items.index_select(0, self._warm).norm(dim=1).mean()
            items = items.index_copy(0, self._cold, self._from_content(self._cold) * length)
        return self.predictor(users), self.predictor(items)

    def _propagate(self) -> tuple[Tensor, Tensor]:
        users, items = self.propagated()
        return users, items + self.item_embedding

    def _target(self, rows: Tensor) -> Tensor:
        return dropout(rows.detach(), self.config.dropout, self.generator)

    def _modality_loss(self, modality: str, items: Tensor, item_target: Tensor) -> Tensor:
        """C(f^m, i) + C(f^m, f^m) over the rows whose item has the modality."""
        having = marked(take_rows(self._present[modality], items))
        if having.none:
            return item_target.new_zeros(())
        items, item_target = having.take(items), having.take(item_target)
        # popular items occur many times in a batch: each is projected once
        each, place = distinct(items)
        content = self.projections[modality](take_rows(self._features[modality], each))
        predicted = take_rows(self.predictor(content), place)
        own_target = self._target(take_rows(content, place))
        return cosine_distance(predicted, item_target, having.weights) + cosine_distance(
            predicted, own_target, having.weights
        )

    def _from_content(self, items: Tensor) -> Tensor:
        """Directions [B, D] of the item vectors that the modalities predict; zero where there are none."""
        total = torch.zeros(len(items), self.config.embedding_size, device=self.device)
        for modality, projection in self.projections.items():
            predicted = self.predictor(projection(take_rows(self._features[modality], items)))
            present = take_rows(self._present[modality], items).unsqueeze(1)
            total = total + torch.nn.functional.normalize(predicted, dim=1) * present
        return torch.nn.functional.normalize(total, dim=1)


def _biased(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer whose bias starts uniform in +-1 / sqrt(inputs), as torch's own does."""
    layer = linear(inputs, outputs, generator)
    bound = 1 / math.sqrt(inputs)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
