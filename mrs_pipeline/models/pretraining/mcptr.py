"""MCPTR-style, first step. After Liu et al., "Multi-modal Contrastive Pre-training for Recommendation", ICMR 2022.

https://doi.org/10.1145/3512527.3531378

Equation: S_u and S_i join each user, and each item, with the `n_partners` that share most with it (`layers.partners`;
weights, how many, brought to a sum of one); a graph's vector is g = mean of E, S E, .., S^L E. An item's content is c^m
= MLP_m (x^m/|x^m|), a user's the mean of c^m over the items taken. Fusion: t = g or c^m, z = sum_t softmax_t(q' tanh(W
t + b)) t, W and q of users and of items apart. loss = mean of softplus(-<z_u, z_i>) + softplus(<z_u, z_j>), j an item
that u has not taken, + contrast_weight * the mean over pairs of modalities of InfoNCE(c^m, c^n) both ways, among the
batch's items that have both. The result: z of users and of items.

Deviations: a guess. No code was published; from the paper's abstract come the graphs of users and of items, attention
within an item's modalities and its graph, text drawn to image by contrast, training on interactions, and vectors that a
known recommender starts from. Its users have the texts of their reviews, here the mean of what they took. The form of
the attention, the numbers of partners, layers and the weights are ours, and any number of modalities. What is absent
has no share; a single modality has no contrast. A tenth of the pairs is held out and decides when to stop.

Complexity: O((U + I) k D L + E M D + I M (F D + D^2) + B^2 D) a step, k partners; finding these once takes the sum of
the squared numbers of users of each item and of items of each user.
"""

from collections.abc import Mapping
from itertools import combinations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.graphs import normalise_rows
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator, mean_propagation
from mrs_pipeline.functional.losses import info_nce
from mrs_pipeline.functional.sampling import NegativeSampler
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import once
from mrs_pipeline.models.layers.parameters import embedding, linear, vector
from mrs_pipeline.models.layers.partners import partners
from mrs_pipeline.models.layers.projection import with_unit_features
from mrs_pipeline.models.pretraining.base import Pretrainer, PretrainerSpec, PretrainingConfig, vector_matrix
from mrs_pipeline.types import FeatureMatrix


class McptrPretrainingConfig(PretrainingConfig):
    """Settings of MCPTR's pretraining."""

    batch_size: int = Field(default=2048, ge=1)
    """Training pairs a step."""
    n_partners: int = Field(default=20, ge=1, le=200)
    """Users, or items, that one is joined with."""
    n_layers: int = Field(default=2, ge=1, le=8)
    """Propagation steps L."""
    contrast_weight: float = Field(default=0.1, ge=0)
    """Weight of the contrast between modalities."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the contrast's softmax."""


class McptrPretrainer(Pretrainer[McptrPretrainingConfig]):
    """Vectors of users and items out of graphs and content; see the module."""

    spec = PretrainerSpec(
        name="mcptr",
        title="MCPTR-style",
        paper="after Liu et al., ICMR 2022",
        url="https://doi.org/10.1145/3512527.3531378",
        complexity="O((U + I) k D L + E M D + I M (F D + D^2) + B^2 D)",
    )
    Config = McptrPretrainingConfig

    def __init__(
        self, config: McptrPretrainingConfig, inputs: ModelInputs, generator: torch.Generator
    ) -> None:
        super().__init__(config, inputs, generator)
        size, pairs = config.embedding_size, (inputs.users, inputs.items)
        shape = (inputs.n_users, inputs.n_items)
        self._user_graph = _partners(*pairs, shape, config.n_partners)
        self._item_graph = _partners(*pairs[::-1], shape[::-1], config.n_partners)
        self._features, self._present = with_unit_features(inputs).features, inputs.present
        self._means = {
            name: _means_of_items(*pairs, shape, present) for name, present in inputs.present.items()
        }
        self._seen = inputs.users_seen(), inputs.items_seen()
        self._user_has = torch.stack([self._seen[0], *(has for _, has in self._means.values())], dim=1)
        self._item_has = torch.stack([self._seen[1], *inputs.present.values()], dim=1)
        self.user_embedding: nn.Parameter = embedding(self._seen[0], size, generator)
        self.item_embedding: nn.Parameter = embedding(self._seen[1], size, generator)
        self.inner = nn.ModuleDict(
            {name: linear(rows.shape[1], size, generator) for name, rows in inputs.features.items()}
        )
        self.outer = nn.ModuleDict({name: linear(size, size, generator) for name in inputs.features})
        self.user_fusion, self.item_fusion = (_TokenFusion(size, generator) for _ in range(2))
        self._sampler = NegativeSampler.from_pairs(inputs.users, inputs.items, inputs.n_users)
        rankable = self._sampler.free[inputs.users] > 0
        self._users, self._items = inputs.users[rankable], inputs.items[rankable]

    def items(self) -> Tensor:
        """Numbers of the training pairs."""
        return torch.arange(len(self._users), device=self.generator.device)

    def loss(self, items: Tensor) -> dict[str, Tensor]:
        """Telling taken items from others, and the contrast of modalities, of the pairs whose numbers are `items`."""
        users, positives = take_rows(self._users, items), take_rows(self._items, items)
        negatives = self._sampler.draw(users, self.generator)
        content = self._content()
        both = self._items_at(content, torch.cat([positives, negatives]))
        liked, other = (both * self._users_at(content, users).repeat(2, 1)).sum(1).chunk(2)
        terms = {"taken": (softplus(-liked) + softplus(other)).mean()}
        if len(content) > 1:
            terms["contrast"] = self.config.contrast_weight * self._contrast(content, positives)
        return terms

    def matrices(self) -> Mapping[str, FeatureMatrix]:
        """Z of users and items."""
        content = self._content()
        everyone, everything = (torch.arange(len(seen), device=seen.device) for seen in self._seen)
        found = {
            "users": (self._users_at(content, everyone), self._user_has.any(1)),
            "items": (self._items_at(content, everything), self._item_has.any(1)),
        }
        keys = {part: f"{self.spec.name}/{part}" for part in found}
        return {keys[part]: vector_matrix(keys[part], *both) for part, both in found.items()}

    def _content(self) -> dict[str, Tensor]:
        """Modality -> c [I, D]; of an item that lacks it, whatever comes of zeros."""
        return {
            name: self.outer[name](self.inner[name](rows).relu()) for name, rows in self._features.items()
        }

    def _items_at(self, content: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """Z [B, D] of items."""
        graph = mean_propagation(self._item_graph, self.item_embedding, self.config.n_layers)
        tokens = torch.stack([take_rows(each, rows) for each in (graph, *content.values())], dim=1)
        fused: Tensor = self.item_fusion(tokens, take_rows(self._item_has, rows))
        return fused

    def _users_at(self, content: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """Z [B, D] of users."""
        graph = mean_propagation(self._user_graph, self.user_embedding, self.config.n_layers)
        means = [self._means[name][0] @ each for name, each in content.items()]
        tokens = torch.stack([take_rows(each, rows) for each in (graph, *means)], dim=1)
        fused: Tensor = self.user_fusion(tokens, take_rows(self._user_has, rows))
        return fused

    def _contrast(self, content: Mapping[str, Tensor], positives: Tensor) -> Tensor:
        """Mean over pairs of modalities, both ways, among the distinct positives that have both."""
        items, fills = once(positives)
        terms = []
        for one, other in combinations(content, 2):
            both = take_rows(self._present[one] & self._present[other], items)
            rows = marked(both if fills is None else both & (fills > 0))
            if rows.none:
                continue
            first, second = (rows.take(take_rows(content[name], items)) for name in (one, other))
            terms.append(info_nce(first, second, self.config.temperature, rows.weights))
            terms.append(info_nce(second, first, self.config.temperature, rows.weights))
        return torch.stack(terms).mean() if terms else torch.zeros((), device=items.device)


class _TokenFusion(nn.Module):
    """sum_t softmax_t(q' tanh(W x_t + b)) x_t over the tokens that there are."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = linear(size, size, generator)
        self.query = vector(size, generator)

    def forward(self, tokens: Tensor, there: Tensor) -> Tensor:
        """[n, D] from tokens [n, T, D] and which there are [n, T]; zero without any."""
        shares = masked_softmax(self.hidden(tokens).tanh() @ self.query, there)
        return (shares.unsqueeze(1) @ tokens).squeeze(1)


def _partners(rows: Tensor, columns: Tensor, shape: tuple[int, int], k: int) -> SparseOperator:
    """[rows, rows] weights that sum to one."""
    return SparseOperator.from_csr(normalise_rows(partners(rows, columns, shape, k)))


def _means_of_items(
    users: Tensor, items: Tensor, shape: tuple[int, int], present: Tensor
) -> tuple[SparseOperator, Tensor]:
    """[U, I] the mean over the items taken that are present, and who has taken such a one [U] bool."""
    kept = present[items]
    ones = torch.ones(int(kept.sum()), device=users.device)
    graph = Csr.from_pairs(users[kept], items[kept], ones, shape)
    return SparseOperator.from_csr(normalise_rows(graph)), graph.indptr.diff() > 0
