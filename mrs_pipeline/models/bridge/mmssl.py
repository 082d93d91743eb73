"""MMSSL. Wei et al., "Multi-Modal Self-Supervised Learning for Recommendation", WWW 2023.

https://arxiv.org/abs/2302.10632

Equation: with G = D_u^-1/2 R and G' = D_i^-1/2 R': content f^m = W_m x^m + b_m, users a^m = G f^m, items b^m = G' a^m.
Each modality has a graph of its own, A^m: the `n_edges` items of largest <a_u^m, f_i^m> of each user, with
D_u^-1/2 A and D_i^-1/2 A' as above; views u^m = A^m E_item, i^m = A^m' E_user. z = mean over m of W_o times
`n_heads`-headed attention among a node's M views; h = E + view_weight unit(z); g = mean of h and its L steps over G and
G'; e = g + content_weight sum_m unit(a^m or b^m); y_ui = <e_u, e_i>.
Loss = BPR + reg_weight * half the squared norm of the batch's e + feature_weight * half the squared norm of a and b
/ I + cl_weight sum_m GRACE(u^m, g of the batch's users) + adversarial_weight * (-mean D(fake)) + D's own loss,
mean D(fake) - mean D(real) + penalty. D judges a user's row over items: fake rows are unit(<a_u^m, b_i^m>), real rows
unit(softmax((R_u + .001 Gumbel) / .005) + <g_u, g_i>).

Deviations, which mend the published code: it makes keys from the queries' projection, here each has its own. Its
share of learned edges rounds to none on small catalogues, and graphs are made again of the empty list: here every user
has `n_edges`, found again each epoch block by block (O(U I M D) time, O(U n_edges) memory), for scores those of the
parameters as they are. Its critic is of size I^2 / 4 with batch norm (which a gradient penalty forbids) and a sigmoid
times 100; here the vectors of the items that stand in the batch, no norm, no sigmoid, no dropout. It steps the two
in turn with two optimisers, here one step has both terms (see `layers.critic`). It takes a softmax over the last
layer's entries and leaves the learned edges' rows unmasked where its training items are zero; here neither. An item
that lacks a modality has no content in it; b^m of an item that nobody took is f^m, so that cold items are ranked by
content. Constant learning rate, no dropout of features.

Complexity: O((E L + (U n + E) M + N M^2) D + I F D + B^2 D) a step, O(U I M D) an epoch.
"""

from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.losses import bpr_inner, grace, squared_norm
from mrs_pipeline.functional.membership import taken
from mrs_pipeline.functional.noise import gumbel
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.critic import RowCritic
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig
from mrs_pipeline.models.layers.modality_attention import MixedViews
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.root_scaled import RootScaled, nearest_items
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_SHARPNESS, _JITTER = 0.005, 0.001
"""Temperature and noise of the real rows, as published."""
_JUDGED = 256
"""Users of a batch whose rows the critic sees."""


class MmsslConfig(LightGcnBackboneConfig):
    """Settings of MMSSL."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-4, 5.5e-4, 1e-3, 3e-3),
        "cl_weight": (3e-3, 1e-2, 3e-2, 1e-1),
        "content_weight": (0.25, 0.55, 1.0),
    }

    learning_rate: float = Field(default=5.5e-4, gt=0, le=1)
    """Adam's step size."""
    n_heads: int = Field(default=4, ge=1, le=64)
    """Heads of the attention among a node's views; must divide `embedding_size`."""
    n_edges: int = Field(default=10, ge=1, le=1000)
    """Items of a user in each modality's own graph."""
    view_weight: float = Field(default=0.36, ge=0)
    """Weight of the modalities' views beside the identifiers."""
    content_weight: float = Field(default=0.55, gt=0)
    """Weight of the content vectors in the final ones."""
    cl_weight: float = Field(default=0.03, ge=0)
    """Weight of the contrast between a modality's users and the propagated ones."""
    temperature: float = Field(default=0.5, gt=0)
    """Of the contrast's softmax."""
    reg_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norm of the batch's vectors."""
    feature_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norm of the content vectors."""
    adversarial_weight: float = Field(default=1e-4, ge=0)
    """Weight of what the critic says of the modalities' rows; 0 for no critic."""
    gradient_penalty: float = Field(default=0.3, ge=0)
    """Weight of the penalty on the critic's slope."""
    critic_size: int = Field(default=64, ge=1, le=4096)
    """Width of the critic."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.embedding_size % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} must divide embedding_size {self.embedding_size}")
        return self


class Mmssl(IdentifierRecommender[MmsslConfig]):
    """Modalities' own graphs, attention among their views, an adversary; see the module."""

    spec = ModelSpec(
        name="mmssl",
        title="MMSSL",
        paper="Wei et al., WWW 2023",
        url="https://arxiv.org/abs/2302.10632",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.COARSE_ATTENTION, Cell.CONTRASTIVE}),
        complexity="O((E L + (U n + E) M + N M^2) D + I F D + B^2 D) + O(U I M D) an epoch",
        features=FeatureUse.REQUIRED,
    )
    Config = MmsslConfig

    def __init__(self, config: MmsslConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._inputs, self._seen_users = inputs, inputs.users_seen()
        self._ratings = interaction_matrix(inputs)
        self._known = RootScaled.from_csr(self._ratings)
        self._graphs: dict[str, RootScaled] | None = None
        self._features = inputs.features
        items_have = torch.stack(list(inputs.present.values()), dim=1)
        users_have = self._seen_users.unsqueeze(1).expand(-1, items_have.shape[1])
        self._has = torch.cat([users_have, items_have])
        self.content = nn.ModuleDict(
            {name: linear(values.shape[1], size, generator) for name, values in inputs.features.items()}
        )
        self.mixer = MixedViews(size, config.n_heads, generator)
        self.critic: RowCritic | None = None
        if config.adversarial_weight > 0:
            self.critic = RowCritic(inputs.n_items, config.critic_size, generator)

    def start_epoch(self) -> None:
        """Finds the modalities' edges of this epoch."""
        self._graphs = self._current_graphs()

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norms, contrast of users, the two sides of the adversarial game."""
        config, rows = self.config, DistinctRows.of(batch)
        if self._graphs is None:
            self._graphs = self._current_graphs()
        content = self._contents()
        users, items, views = self._propagated(self._graphs)
        final = rows.pair_rows(
            take_rows(self._joined(users, content, 0), rows.users),
            take_rows(self._joined(items, content, 1), rows.items),
        )
        sums = torch.stack([side.square().sum() for pair in content.values() for side in pair])
        behaviour = take_rows(users, rows.users)
        contrasts = [grace(take_rows(view, rows.users), behaviour, config.temperature) for view in views]
        terms = {
            "bpr": bpr_inner(*final),
            "reg": config.reg_weight * squared_norm(*final),
            "features": config.feature_weight * sums.sum() / (2 * self.n_items),
            "contrast": config.cl_weight * torch.stack(contrasts).sum(),
        }
        return (
            terms
            if self.critic is None
            else {**terms, **self._game(self.critic, rows, users, items, content)}
        )

    def representations(self) -> tuple[Tensor, Tensor]:
        """Propagated vectors plus content, with the modalities' edges of the parameters as they are."""
        content = self._contents()
        users, items, _ = self._propagated(self._current_graphs())
        return self._joined(users, content, 0), self._joined(items, content, 1)

    def _projected(self) -> dict[str, Tensor]:
        """f^m [I, D], zero where an item lacks the modality."""
        present = self._inputs.present
        return {
            name: layer(self._features[name]) * present[name].unsqueeze(1)
            for name, layer in self.content.items()
        }

    def _contents(self) -> dict[str, tuple[Tensor, Tensor]]:
        """a^m [U, D] and b^m [I, D]."""
        found = {}
        for name, projected in self._projected().items():
            users = self._known.to_users(projected)
            taken_by = self._known.to_items(users)
            found[name] = users, torch.where(self._seen.unsqueeze(1), taken_by, projected)
        return found

    @torch.no_grad()
    def _current_graphs(self) -> dict[str, RootScaled]:
        graphs = {}
        for name, projected in self._projected().items():
            asked, offered = self._seen_users, self._inputs.present[name]
            users = self._known.to_users(projected)
            graphs[name] = RootScaled.from_csr(
                nearest_items(users, projected, asked, offered, self.config.n_edges)
            )
        return graphs

    def _propagated(self, graphs: dict[str, RootScaled]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Propagated g of users [U, D] and items [I, D], and the users' views u^m [U, D]."""
        user_views = [graph.to_users(self.item_embedding) for graph in graphs.values()]
        item_views = [graph.to_items(self.user_embedding) for graph in graphs.values()]
        nodes = [torch.cat(pair) for pair in zip(user_views, item_views, strict=True)]
        mixed = unit_rows(self.mixer(torch.stack(nodes, dim=1), self._has))
        start = torch.cat([self.user_embedding, self.item_embedding]) + self.config.view_weight * mixed
        users, items = start.split_with_sizes([self.n_users, self.n_items])
        layers = [(users, items)]
        for _ in range(self.config.n_layers):
            users, items = self._known.to_users(items), self._known.to_items(users)
            layers.append((users, items))
        users, items = (torch.stack(side).mean(0) for side in zip(*layers, strict=True))
        return users, items, user_views

    def _joined(self, rows: Tensor, content: dict[str, tuple[Tensor, Tensor]], side: int) -> Tensor:
        parts = torch.stack([unit_rows(pair[side]) for pair in content.values()])
        return rows + self.config.content_weight * parts.sum(0)

    def _game(
        self,
        critic: RowCritic,
        rows: DistinctRows,
        users: Tensor,
        items: Tensor,
        content: dict[str, tuple[Tensor, Tensor]],
    ) -> dict[str, Tensor]:
        """The generator's term and the critic's, over some of the batch's users and all of its items."""
        asked, config = rows.users[:_JUDGED], self.config
        ones = taken(self._ratings, asked, rows.items).to(users.dtype)
        noisy = (ones + _JITTER * gumbel(ones, self.generator)) / _SHARPNESS
        real = unit_rows(noisy.softmax(1) + take_rows(users, asked) @ take_rows(items, rows.items).T)
        fakes = [
            unit_rows((take_rows(of_users, asked) @ take_rows(of_items, rows.items).T) * (1 - ones))
            for of_users, of_items in content.values()
        ]
        fake = torch.cat(fakes)
        real = real.repeat(len(fakes), 1)
        return {
            "generator": -config.adversarial_weight * critic.of_constants(fake, rows.items).mean(),
            "critic": critic.distance(real, fake, rows.items, config.gradient_penalty, self.generator),
        }
