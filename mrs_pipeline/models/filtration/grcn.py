"""GRCN. Wei et al., "Graph-Refined Convolutional Network for Multimedia Recommendation with Implicit Feedback".

MM 2020, https://arxiv.org/abs/2111.02036

Equation: content of modality m: f_i = unit(LeakyReLU(W_m x_i^m + b_m)), p_u = unit(P_u^m); `n_routings` times
p_u <- unit(p_u + sum_i a_ui f_i) with a_ui = softmax over the user's items of <p_u, f_i>; then, with a^m the
softmax of <p_u, f_i> among the edges into a node, c_u^m = p_u + sum_i a^m_ui f_i and c_i^m = f_i + sum_u a^m_iu
p_u. An edge from node s into node t weighs w_ts = ReLU(max_m a^m_ts k_s^m) with a learned confidence k_s^m in the
sender. e = unit(E), h = e + A_w e + ... + A_w^L e; y_ui = <[h_u, c_u^1 .. c_u^M], [h_i, c_i^1 .. c_i^M]>;
loss = BPR + reg_weight * (mean squares of the batch's rows of E, of its users' rows of every P^m).

Deviations: an item that lacks a modality has a learned vector in place of W_m x + b_m. Confidences start as the
absolute values of the published initialisation: attention is positive, so a sender whose confidences all start
negative is cut off in every direction and, the ReLU being flat there, for good (a quarter of all nodes with two
modalities, half with one). The published code routes along edges from users to items; as its library passes
messages, from source to target, the users then stay where they were, and what it computes is `n_routings: 0`. Here
messages go from items to users, as the paper has it. Its port scores with the vectors of the last training batch and
regularises the whole first modality's P a second time; not so here.
The step size is that of the other models here, 1e-3 (published: 1e-4).

Complexity: O(M E (R + 2) D + E L D + M I F D) a step, memory O(E M + N M D): attention is a sampled product of two
tables, never a vector an edge.
"""

from collections.abc import Sequence
from functools import reduce
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from mrs_pipeline.functional.kernels.edges import EdgePattern, edge_attention, edge_sums
from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.losses import bpr_inner, mean_square
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.parameters import embedding
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class GrcnConfig(GradientConfig):
    """Settings of GRCN."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-2, 1e-3, 1e-4),
        "reg_weight": (1e-1, 1e-2, 1e-3, 1e-4, 1e-5),
        "n_routings": (0, 3),
    }

    content_size: int = Field(default=64, ge=1, le=4096)
    """Width of each modality's vectors."""
    n_routings: int = Field(default=3, ge=0, le=10)
    """Rounds in which users' preferences move towards the content of their items."""
    n_layers: int = Field(default=2, ge=1, le=8)
    """Propagation steps L of the identifiers on the refined graph."""
    pruning: Literal["hard", "soft"] = "hard"
    """Whether edges of negative weight are cut (`hard`, the ReLU) or kept as they are (`soft`)."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the mean squares."""


class Grcn(IdentifierRecommender[GrcnConfig]):
    """Identifiers propagated on a graph whose edges content weighs; see the module."""

    spec = ModelSpec(
        name="grcn",
        title="GRCN",
        paper="Wei et al., MM 2020",
        url="https://arxiv.org/abs/2111.02036",
        cells=frozenset({Cell.FILTRATION}),
        complexity="O(M E (R + 2) D + E L D + M I F D)",
        features=FeatureUse.REQUIRED,
    )
    Config = GrcnConfig

    def __init__(self, config: GrcnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        users, items, n_modalities = inputs.users_seen(), inputs.items_seen(), len(inputs.features)
        self._to_users = EdgePattern.from_csr(interaction_matrix(inputs))
        self._to_items = self._to_users.transposed
        self.projection = ModalityProjection(inputs, config.content_size, generator)
        self.preferences = nn.ParameterDict(
            {name: embedding(users, config.content_size, generator) for name in inputs.features}
        )
        self.user_confidence = nn.Parameter(embedding(users, n_modalities, generator).detach().abs())
        self.item_confidence = nn.Parameter(embedding(items, n_modalities, generator).detach().abs())

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR on the joined vectors, mean squares of what they are made from."""
        users, items = self._parts()
        rows = [pair_rows(user, item, batch) for user, item in zip(users, items, strict=True)]
        user, positives, negatives = (torch.cat(part, dim=1) for part in zip(*rows, strict=True))
        own = take_rows(self.user_embedding, batch.users)
        both = take_rows(self.item_embedding, torch.cat([batch.positives, batch.negatives]))
        preferences = [take_rows(table, batch.users) for table in self.preferences.values()]
        return {
            "bpr": bpr_inner(user, positives, negatives),
            "reg": self.config.reg_weight * mean_square(own, both, *preferences),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Identifier part and one part a modality, side by side."""
        users, items = self._parts()
        return torch.cat(users, dim=1), torch.cat(items, dim=1)

    def _parts(self) -> tuple[list[Tensor], list[Tensor]]:
        """Tables [U, .] and [I, .] whose inner products add up to the scores: identifiers, then each modality."""
        contents = [
            self._content(self.preferences[name], values) for name, values in self.projection().items()
        ]
        weights = [
            self._refined([shares[side] for _, _, shares in contents], side) for side in ("users", "items")
        ]
        user, item = self._propagated(*weights)
        return [user, *(each[0] for each in contents)], [item, *(each[1] for each in contents)]

    def _content(self, preference: Tensor, values: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One modality's user and item vectors, and the attention on the edges into users and into items."""
        users, items = unit_rows(preference), unit_rows(leaky_relu(values))
        for _ in range(self.config.n_routings):
            users = unit_rows(edge_attention(self._to_users, users, items)[0])
        user_content, into_users = edge_attention(self._to_users, users, items)
        item_content, into_items = edge_attention(self._to_items, items, users)
        return user_content, item_content, {"users": into_users, "items": into_items}

    def _refined(self, shares: Sequence[Tensor], side: str) -> Tensor:
        """[E] weights of the edges into one side: the most that a modality gives, with the sender's confidence."""
        pattern = self._to_users if side == "users" else self._to_items
        confidence = self.item_confidence if side == "users" else self.user_confidence
        senders = take_rows(confidence, pattern.graph.indices).unbind(1)
        weights = reduce(
            torch.maximum, [share * sender for share, sender in zip(shares, senders, strict=True)]
        )
        return weights.relu() if self.config.pruning == "hard" else weights

    def _propagated(self, into_users: Tensor, into_items: Tensor) -> tuple[Tensor, Tensor]:
        """The sum e + A e + ... + A^L e by Horner's scheme, users and items apart since the graph is bipartite."""
        first_user, first_item = unit_rows(self.user_embedding), unit_rows(self.item_embedding)
        users, items = first_user, first_item
        for _ in range(self.config.n_layers):
            users, items = (
                edge_sums(self._to_users, first_user, into_users, items),
                edge_sums(self._to_items, first_item, into_items, users),
            )
        return users, items
