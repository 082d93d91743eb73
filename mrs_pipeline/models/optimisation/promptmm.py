"""PromptMM, second step: the student. Wei et al., "PromptMM: Multi-Modal Knowledge Distillation ...", WWW 2024.

In full: "PromptMM: Multi-Modal Knowledge Distillation for Recommendation with Prompt-Tuning".
https://arxiv.org/abs/2402.17188

Equation: (e_u, e_i) = LightGCN(E) of identifiers alone; y_ui = <e_u, e_i>. t, u^m and i^m are the teacher's vectors
(`pretraining.promptmm`). loss = BPR + reg_weight * half the squared norm of the batch's rows + pair_weight *
KL(Bernoulli sigmoid(<t_u, t_i - t_j> / T), the same of e) + list_weight * sum_m T^2 KL(softmax_n <u^m, i^m_n> / T,
the same of e), n the positive and `n_listed` negatives, + feature_weight * sum_m mean (1 - cos(e_i, A_m i^m))^2.

Deviations: divergences are taken of log-probabilities and averaged, so that their weights are of the order of one
(the published code compares logarithms that are not normalised, with weights up to 5e9). The student starts by itself
and has a width of its own, the A_m carry the teacher's vectors over, and start as rotations (published: the student
starts from the teacher's final vectors, in tables that share their memory, which makes it no smaller than its
teacher). The decoupled divergence that the published code computes and leaves out of the loss is left out here too.
The teacher is held, with its dropout off. Corrected: propagation joins users with items; the published student's
graph has its blocks on the diagonal.

Complexity: O(E D L + B n D (M + 1)) a step.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mrs_pipeline.functional.distillation import listwise_distillation, pairwise_distillation
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr, squared_norm
from mrs_pipeline.models.base import BatchSettings, PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class PromptMmConfig(LightGcnBackboneConfig):
    """Settings of PromptMM's student."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (1, 2),
        "pair_weight": (0.0, 0.01, 0.1, 1.0),
        "list_weight": (0.0, 0.01, 0.1, 1.0),
        "feature_weight": (0.0, 0.01, 0.1),
        "temperature": (1.0, 5.0),
        "reg_weight": (1e-5, 1e-4, 1e-3),
    }

    embedding_size: int = Field(default=32, ge=1, le=4096)
    """Width D of user and item vectors."""
    n_layers: int = Field(default=1, ge=1, le=8)
    """Propagation steps L on the user-item graph."""
    pair_weight: float = Field(default=0.1, ge=0)
    """Weight of the divergence of pairs from the teacher's final scores."""
    list_weight: float = Field(default=0.1, ge=0)
    """Weight of the divergence of lists from the scores of each of the teacher's modalities."""
    feature_weight: float = Field(default=0.01, ge=0)
    """Weight of the distance of items' vectors from those of each modality."""
    temperature: float = Field(default=1.0, gt=0)
    """T: above one, small gaps of the teacher's scores count more beside large ones."""
    n_listed: int = Field(default=10, ge=2, le=1000)
    """Negatives of a list."""
    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class PromptMm(LightGcnRecommender[PromptMmConfig]):
    """LightGCN of identifiers that learns to score as a multimodal teacher does; see the module."""

    spec = ModelSpec(
        name="promptmm",
        title="PromptMM",
        paper="Wei et al., WWW 2024",
        url="https://arxiv.org/abs/2402.17188",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.TWO_STEP}),
        complexity="O(E D L + B n D (M + 1))",
        features=FeatureUse.REQUIRED,
        pretraining="promptmm",
    )
    Config = PromptMmConfig

    def __init__(self, config: PromptMmConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        vectors = inputs.pretrained
        self._final = vectors["promptmm/users"], vectors["promptmm/items"]
        self._modal = {
            name: (vectors[f"promptmm/users_{name}"], vectors[f"promptmm/items_{name}"])
            for name in inputs.features
        }
        rotation = torch.empty(self._final[0].shape[1], config.embedding_size, device=generator.device)
        nn.init.orthogonal_(rotation, generator=generator)
        self.maps = nn.ParameterDict({name: nn.Parameter(rotation.clone()) for name in self._modal})

    @property
    def sees_content(self) -> bool:
        """False: what the teacher saw reaches the student by the items of training rows alone."""
        return False

    def batch_settings(self) -> BatchSettings:
        """As many negatives as a list has."""
        return {"negatives": self.config.n_listed}

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR of the first negative, and the distances from the teacher."""
        config = self.config
        items = torch.cat([batch.positives.unsqueeze(1), batch.negatives], dim=1)
        users, listed = _rows(*self.propagated(), batch.users, items)
        scores = _products(users, listed)
        teacher = _products(*_rows(*self._final, batch.users, items[:, :2]))
        gaps, wanted = scores[:, 0] - scores[:, 1], teacher[:, 0] - teacher[:, 1]
        lists, features = [], []
        for name, vectors in self._modal.items():
            of_users, of_items = _rows(*vectors, batch.users, items)
            lists.append(listwise_distillation(_products(of_users, of_items), scores, config.temperature))
            cosines = cosine_similarity(listed[:, 0], of_items[:, 0] @ self.maps[name], dim=1)
            features.append((1 - cosines).square().mean())
        return {
            "bpr": bpr(gaps),
            "reg": config.reg_weight * squared_norm(users, listed[:, 0], listed[:, 1]),
            "pairs": config.pair_weight * pairwise_distillation(wanted, gaps, config.temperature),
            "lists": config.list_weight * torch.stack(lists).sum(),
            "features": config.feature_weight * torch.stack(features).sum(),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Propagated identifiers [U, D] and [I, D]."""
        return self.propagated()


def _rows(users: Tensor, items: Tensor, who: Tensor, what: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [B, D] of `who` [B] and [B, n, D] of `what` [B, n]."""
    return take_rows(users, who), take_rows(items, what.flatten()).view(*what.shape, -1)


def _products(users: Tensor, items: Tensor) -> Tensor:
    """[B, n] of users [B, D] and items [B, n, D]."""
    return (users.unsqueeze(1) * items).sum(2)
