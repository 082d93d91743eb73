"""MCLN, over tokens. Li et al., "Multimodal Counterfactual Learning Network ...", SIGIR 2023.

In full: "Multimodal Counterfactual Learning Network for Multimedia-based Recommendation".
https://doi.org/10.1145/3539618.3591739

Equation: (e_u, e_i) = the mean of the layers of D^-1/2 (A + I) D^-gamma on the user-item graph; v_i^m = W_m x^m/|x^m|
+ b_m. The tokens z of an item are e_i and its v_i^m. `n_blocks` times z = LN(y + F(y)) with y = LN(z + softmax((Q K'
- Q_c K_c') / sqrt(D)) V), where Q, K, V are linear in z, and Q_c, K_c in the tokens z_c of an item c that the user
has not taken: what both attend to is no reason for having taken i. F is linear, ReLU, linear, of width 4 D.
Negatives, and all items when scoring, have softmax(Q K' / sqrt(D)). m_i = ReLU(W [z] + b). y_ui = <e_u, e_i +
modal_weight * sum_m v_i^m + m_i>; loss = the sum of BPR by each of e, v^m and m + reg_weight * half the squared norm
of the batch's rows of e and m.

Deviations: the published code attends across the items of a batch, whose [e ; v ; t] are one row each, so that an
item's scores depend on which others share its batch; here an item's own vectors are the tokens, which is
deterministic, hence `over tokens`. Positives and negatives go through one and the same W (published: two). Any number
of modalities, with one weight for all (published: .3 for pictures, 1 for texts); where an item lacks one its token is
a learned vector. c is drawn anew at each step, and goes through the same blocks without a partner of its own. The
published code has no validation rows.

Complexity: O(E D L + I F D + B M D^2) a step; O(I M D^2) to score.
"""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.graphs import normalise_asymmetric, with_self_loops
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.models.base import BatchSettings, PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import propagation_graph
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_COMPARED_AT_ONCE = 16_384
"""Items whose tokens go through the blocks together when scoring."""


class MclnConfig(LightGcnBackboneConfig):
    """Settings of MCLN."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (2, 3, 4),
        "modal_weight": (0.1, 0.3, 1.0),
        "reg_weight": (1e-4, 1e-3, 1e-2),
        "learning_rate": (1e-3, 5e-3),
    }

    n_layers: int = Field(default=4, ge=1, le=8)
    """Propagation steps L on the user-item graph."""
    gamma: float = Field(default=0.4, ge=0, le=1)
    """Exponent of the sender's degree; .5 is LightGCN's."""
    n_blocks: int = Field(default=2, ge=1, le=8)
    """Blocks of counterfactual attention."""
    modal_weight: float = Field(default=0.3, ge=0)
    """Weight of the modalities in the scores."""
    reg_weight: float = Field(default=1e-2, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Mcln(LightGcnRecommender[MclnConfig]):
    """Attention among an item's vectors, less what items not taken attend to as well; see the module."""

    spec = ModelSpec(
        name="mcln",
        title="MCLN (over tokens)",
        paper="Li et al., SIGIR 2023",
        url="https://doi.org/10.1145/3539618.3591739",
        cells=frozenset({Cell.FILTRATION}),
        complexity="O(E D L + I F D + B M D^2)",
        features=FeatureUse.REQUIRED,
    )
    Config = MclnConfig

    def __init__(self, config: MclnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        graph = propagation_graph(inputs)
        scaled = normalise_asymmetric(with_self_loops(graph), 0.5, config.gamma)
        super().__init__(config, inputs, generator, SparseOperator.from_csr(scaled))
        size = config.embedding_size
        self.projection = ModalityProjection(with_unit_features(inputs), size, generator)
        self.blocks = nn.ModuleList(_CounterfactualBlock(size, generator) for _ in range(config.n_blocks))
        self.joint = linear((len(inputs.features) + 1) * size, size, generator)

    def batch_settings(self) -> BatchSettings:
        """A negative, and an item not taken to compare the positive with."""
        return {"negatives": 2}

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR by identifiers, by each modality and by what is left of them jointly."""
        users, items = self.propagated()
        rows = take_rows(users, batch.users)
        named = torch.cat([batch.positives, *batch.negatives.unbind(1)])
        each, place = distinct(named)
        tokens = self._tokens(take_rows(items, each), each)
        positive, negative, other = take_rows(tokens, place).chunk(3)
        joint, joint_negative = self._joint(positive, other), self._joint(negative)
        pairs = [*zip(positive.unbind(1), negative.unbind(1), strict=True), (joint, joint_negative)]
        terms = [bpr_inner(rows, one, another) for one, another in pairs]
        names = ["bpr", *(f"bpr_{name}" for name in self.projection.layers), "bpr_joint"]
        norm = squared_norm(rows, positive[:, 0], negative[:, 0], joint, joint_negative)
        return {**dict(zip(names, terms, strict=True)), "reg": self.config.reg_weight * norm}

    def representations(self) -> tuple[Tensor, Tensor]:
        """Propagated users [U, D]; items [I, D] as the sum of all that speaks for them."""
        users, items = self.propagated()
        found = []
        for chunk in torch.split(torch.arange(self.n_items, device=self.device), _COMPARED_AT_ONCE):
            tokens = self._tokens(take_rows(items, chunk), chunk)
            content = tokens[:, 1:].sum(1)
            found.append(tokens[:, 0] + self.config.modal_weight * content + self._joint(tokens))
        return users, torch.cat(found)

    def _tokens(self, identifiers: Tensor, items: Tensor) -> Tensor:
        """[n, 1 + M, D] of `items` [n], whose propagated `identifiers` [n, D] come first."""
        return torch.stack([identifiers, *self.projection(items).values()], dim=1)

    def _joint(self, tokens: Tensor, others: Tensor | None = None) -> Tensor:
        """Vectors m [n, D] from tokens [n, 1 + M, D], less what `others` of the same shape attend to, if given."""
        for block in self.blocks:
            tokens, others = block(tokens, others), None if others is None else block(others, None)
        joint: Tensor = self.joint(tokens.flatten(1)).relu()
        return joint


class _CounterfactualBlock(nn.Module):
    """Attention among tokens, less that among the tokens of another item; feed-forward; both beside a shortcut."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self._scale = 1 / math.sqrt(size)
        names = ("query", "key", "value", "other_query", "other_key")
        self.maps = nn.ModuleDict({name: linear(size, size, generator, bias=False) for name in names})
        self.attention_norm = nn.LayerNorm(size, device=generator.device)
        self.inner, self.outer = linear(size, 4 * size, generator), linear(4 * size, size, generator)
        self.feed_norm = nn.LayerNorm(size, device=generator.device)

    def forward(self, tokens: Tensor, others: Tensor | None) -> Tensor:
        """[n, T, D] -> [n, T, D]."""
        logits = self.maps["query"](tokens) @ self.maps["key"](tokens).mT
        if others is not None:
            logits = logits - self.maps["other_query"](others) @ self.maps["other_key"](others).mT
        mixed = (logits * self._scale).softmax(-1) @ self.maps["value"](tokens)
        tokens = self.attention_norm(tokens + mixed)
        fed: Tensor = self.feed_norm(tokens + self.outer(self.inner(tokens).relu()))
        return fed
