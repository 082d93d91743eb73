"""SimGCL: LightGCN with contrast of two views that noise was added to.

Yu et al., "Are Graph Augmentations Necessary? Simple Graph Contrastive Learning for Recommendation", SIGIR 2022.
https://arxiv.org/abs/2112.08679

Equation: X^l = S X^(l-1) with S = D^-1/2 A D^-1/2 and X^0 = E; (u, i) = mean of X^1..X^L, X^0 left out; y_ui = <u, i>.
A view adds noise to every layer, X^l + noise * sign(X^l) * z/|z| with z uniform in [0, 1) of each row, and propagates
that. loss = BPR + reg_weight * embedding norm of the batch's u and i + cl_weight * (InfoNCE of two views of its users
+ InfoNCE of its positive items).

Deviations: BPR through log-sigmoid, without 1e-5 inside the logarithm. Users and positive items of a batch are compared
once each, as in the authors' code. With `include_layer_0` X^0 is in the mean, as in LightGCN and in ports of SimGCL.

Complexity: O(E L D + B^2 D) a step, three propagations of it, plus Adam's O((U + I) D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, embedding_norm, info_nce
from mrs_pipeline.functional.noise import sign_noise
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.layers.batch_rows import distinct_rows, pair_rows
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell


class SimGclConfig(LightGcnBackboneConfig):
    """Settings of SimGCL."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (1, 2, 3),
        "cl_weight": (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
        "noise": (0.05, 0.1, 0.2),
        "temperature": (0.1, 0.2, 0.5),
    }

    n_layers: int = Field(default=3, ge=1, le=8)
    """Propagation steps L on the user-item graph."""
    cl_weight: float = Field(default=0.02, ge=0)
    """Weight of the contrast (the paper's lambda); the small data sets here want less than the paper's .5."""
    noise: float = Field(default=0.1, ge=0)
    """Length of the noise that a layer gets (the paper's epsilon)."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the contrast's softmax."""
    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the embedding norm."""
    include_layer_0: bool = False
    """Whether the mean over the layers has the identifiers in it."""


class SimGcl(LightGcnRecommender[SimGclConfig]):
    """LightGCN with contrast of noisy views; see the module."""

    spec = ModelSpec(
        name="simgcl",
        title="SimGCL",
        paper="Yu et al., SIGIR 2022",
        url="https://arxiv.org/abs/2112.08679",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(E L D + B^2 D)",
    )
    Config = SimGclConfig

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the clean vectors, contrast of two noisy views."""
        config = self.config
        user, positive, negative = pair_rows(*self.representations(), batch)
        terms = {
            "bpr": bpr_inner(user, positive, negative),
            "reg": config.reg_weight * embedding_norm(user, positive),
        }
        if config.cl_weight > 0:
            one, other = self._layers_mean(noisy=True), self._layers_mean(noisy=True)
            contrasts = [
                info_nce(take_rows(first, rows), take_rows(second, rows), config.temperature, weights)
                for first, second, (rows, weights) in zip(one, other, distinct_rows(batch), strict=True)
            ]
            terms["contrast"] = config.cl_weight * torch.stack(contrasts).sum()
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Mean over the layers without noise, users [U, D] and items [I, D]."""
        return self._layers_mean(noisy=False)

    def _layers_mean(self, *, noisy: bool) -> tuple[Tensor, Tensor]:
        layer = torch.cat([self.user_embedding, self.item_embedding])
        layers = [layer] if self.config.include_layer_0 else []
        for _ in range(self.config.n_layers):
            layer = self._adjacency @ layer
            if noisy:
                layer = layer + sign_noise(layer, self.config.noise, self.generator)
            layers.append(layer)
        users, items = torch.stack(layers).mean(0).split_with_sizes([self.n_users, self.n_items])
        return users, items
