"""Fusion of identifier and modalities, five ways over two backbones: this project's own bench for the question.

After the coarse-grained attention of *Multimodal Recommender Systems: A Survey* (Liu et al., 2023); the two optional
terms follow InfoNCE (van den Oord et al., 2018) and domain separation (Bousmalis et al., NeurIPS 2016).
https://arxiv.org/abs/2302.03883

Equation: (e_u, e_i) = tables (`bpr_mf`) or LightGCN (`lightgcn`); parts of item i: e_i and z_i^m = W_m x_i^m, over
the modalities that it has, x centred and of one length. Its vector f_i is

- `sum`: e_i + sum_m z_i^m;
- `concat`: W [e_i ; z_i^1 ; ...];
- `product`: (1 + e_i) * prod_m (1 + z_i^m) - 1;
- `gate`: e_i + sum_m sigmoid(G_m [e_i ; z_i^m] + c_m) * z_i^m;
- `attention`: sum of the parts weighted by a softmax of q . tanh(A part + b).

y_ui = <e_u, f_i>; loss = BPR + reg_weight * embedding norm of the batch's layer-0 rows
+ contrastive_weight * mean over pairs of views (e, z^1, ...) of InfoNCE
+ disentangled_weight * (orthogonality + misalignment).

The last two look at the batch's distinct positive items. For the last, z^m is read as two halves [shared ; private].
Orthogonality: the mean squared correlation of shared with private columns over the items. Misalignment: 1 - mean
cosine of two modalities' shared halves of one item, centred over the items. The halves are those of the one
projection, so that a run with the terms and one without have the same parameters and differ in nothing else.

Deviations: there is no single paper to deviate from. An absent modality, and the identifier of an item never seen in
training, takes no part: neutral in sums and products, left out of the softmax, of InfoNCE and of alignment. So cold
items are ranked by content alone. The product carries ones, as a plain one of five small vectors would vanish.
Features are centred and scaled (`functional.content.comparable`): raw rows of length 30, as the TikTok pack has them,
drown the identifiers (validation recall@20 .022 after 60 epochs, scaled .096).

Complexity: O(B (F + M D) D) a step, with LightGCN O(E L D) more, with `contrastive_weight` O(M^2 B^2 D) more.
"""

from itertools import combinations
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mrs_pipeline.functional.content import comparable
from mrs_pipeline.functional.distinct import distinct, marked, mean_of
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import (
    bpr_inner,
    cross_correlation,
    embedding_norm,
    info_nce,
    misalignment,
)
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import once, pair_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, mean_of_layers, user_item_operator
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.part_mixers import Mix, part_mixer
from mrs_pipeline.models.layers.parts import IDENTIFIER, MaskedParts
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class FusionConfig(LightGcnBackboneConfig):
    """Settings of the fusion model."""

    search_space: ClassVar[SearchSpace] = {
        "fusion": ("concat", "sum", "product", "gate", "attention"),
        "reg_weight": (1e-2, 1e-3, 1e-4),
    }

    backbone: Literal["bpr_mf", "lightgcn"] = "lightgcn"
    """Where the identifiers' vectors come from: tables, or propagation over the user-item graph."""
    fusion: Mix = "attention"
    """How an item's identifier and modalities become one vector."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the embedding norm."""
    contrastive_weight: float = Field(default=0.0, ge=0)
    """Weight of InfoNCE between the views of an item: its identifier and each modality."""
    temperature: float = Field(default=0.2, gt=0)
    """Temperature of InfoNCE."""
    disentangled_weight: float = Field(default=0.0, ge=0)
    """Weight of what keeps shared and private halves apart and shared halves alike."""

    @model_validator(mode="after")
    def _two_halves(self) -> "FusionConfig":
        if self.disentangled_weight > 0 and self.embedding_size < 2:
            raise ValueError(
                "disentangled_weight needs an embedding_size of at least 2, a half for each part"
            )
        return self


class Fusion(IdentifierRecommender[FusionConfig]):
    """Identifier and modalities in one item vector; see the module."""

    spec = ModelSpec(
        name="fusion",
        title="Fusion",
        paper="after Liu et al., 2023 (survey)",
        url="https://arxiv.org/abs/2302.03883",
        cells=frozenset({Cell.COARSE_ATTENTION}),
        complexity="O((E L + B F) D)",
        features=FeatureUse.REQUIRED,
    )
    Config = FusionConfig

    def __init__(self, config: FusionConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._present = inputs.present
        self._features = {
            modality: comparable(values, inputs.present[modality])
            for modality, values in inputs.features.items()
        }
        self._adjacency = user_item_operator(inputs) if config.backbone == "lightgcn" else None
        self.projections = nn.ModuleDict(
            {
                modality: linear(values.shape[1], size, generator, bias=False)
                for modality, values in inputs.features.items()
            }
        )
        self.mixer = part_mixer(config.fusion, list(inputs.features), size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR, the norm, and the enhancement terms that are switched on."""
        users, identifiers = self._backbone()
        # popular items occur many times in a batch: each is projected and fused once
        items, place = distinct(torch.cat([batch.positives, batch.negatives]))
        parts = self._parts(identifiers, items)
        positives, negatives = take_rows(self.mixer(parts), place).chunk(2)
        layer_0 = pair_rows(self.user_embedding, self.item_embedding, batch)
        config, own = self.config, once(place[: len(batch.positives)])
        terms = {
            "bpr": bpr_inner(take_rows(users, batch.users), positives, negatives),
            "reg": config.reg_weight * embedding_norm(*layer_0),
        }
        if config.contrastive_weight > 0:
            terms["contrastive"] = config.contrastive_weight * _view_contrast(
                _rows(parts, *own), config.temperature
            )
        if config.disentangled_weight > 0:
            terms["disentangled"] = config.disentangled_weight * _entanglement(_rows(parts, *own))
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Backbone users [U, D] and fused items [I, D]."""
        users, identifiers = self._backbone()
        return users, self.mixer(self._parts(identifiers, None))

    def shared_and_private(self, items: Tensor | None = None) -> dict[str, tuple[Tensor, Tensor]]:
        """Modality -> the shared [B, D // 2] and private [B, D - D // 2] halves of its projection.

        Args:
            items: [B] int64, or None for all items; rows that lack the modality are zero.
        """
        return {modality: _halves(self._projected(modality, items)[0]) for modality in self.projections}

    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The shared halves of all modalities, and their private ones, each with the half of the user beside it."""
        users = _halves(self._backbone()[0])
        halves = zip(*self.shared_and_private().values(), strict=True)
        items = [torch.stack(half).sum(0) for half in halves]
        return dict(zip(("shared", "private"), zip(users, items, strict=True), strict=True))

    def _backbone(self) -> tuple[Tensor, Tensor]:
        if self._adjacency is None:
            return self.user_embedding, self.item_embedding
        return mean_of_layers(self._adjacency, self.user_embedding, self.item_embedding, self.config.n_layers)

    def _parts(self, identifiers: Tensor, items: Tensor | None) -> MaskedParts:
        seen = self._seen
        if items is not None:
            identifiers, seen = take_rows(identifiers, items), take_rows(seen, items)
        content = {modality: self._projected(modality, items) for modality in self.projections}
        return {IDENTIFIER: (identifiers, seen), **content}

    def _projected(self, modality: str, items: Tensor | None) -> tuple[Tensor, Tensor]:
        # without a bias the zero row of an item that lacks the modality stays zero
        values, present = self._features[modality], self._present[modality]
        if items is not None:
            values, present = take_rows(values, items), take_rows(present, items)
        return self.projections[modality](values), present


def _rows(parts: MaskedParts, rows: Tensor, weights: Tensor | None) -> MaskedParts:
    """The parts of `rows` [n]; nobody has any where `weights` [n] are zero."""
    found = {}
    for name, (values, present) in parts.items():
        has = take_rows(present, rows)
        found[name] = take_rows(values, rows), has if weights is None else has & (weights > 0)
    return found


def _halves(values: Tensor) -> tuple[Tensor, Tensor]:
    shared, private = values.tensor_split([values.shape[1] // 2], dim=1)
    return shared, private


def _view_contrast(parts: MaskedParts, temperature: float) -> Tensor:
    """Mean InfoNCE over pairs of views, each over the items that have both."""
    losses, some = [], []
    for (one, has_one), (other, has_other) in combinations(parts.values(), 2):
        both = marked(has_one & has_other)
        if not both.none:
            losses.append(info_nce(both.take(one), both.take(other), temperature, both.weights))
            some += [] if both.weights is None else [both.weights.amax()]
    if not losses:
        return parts[IDENTIFIER][0].new_zeros(())
    return mean_of(torch.stack(losses), torch.stack(some) if some else None)


def _entanglement(parts: MaskedParts) -> Tensor:
    """How much private halves say of shared ones, and how little shared halves agree."""
    losses, halves = [], []
    for name, (values, present) in parts.items():
        having = marked(present)
        if name != IDENTIFIER and not having.none:
            shared, private = _halves(values)
            losses.append(cross_correlation(having.take(shared), having.take(private), having.weights))
            halves.append((shared, present))
    for (one, has_one), (other, has_other) in combinations(halves, 2):
        both = marked(has_one & has_other)
        if not both.none:
            losses.append(misalignment(both.take(one), both.take(other), both.weights))
    return torch.stack(losses).sum() if losses else parts[IDENTIFIER][0].new_zeros(())
