"""GUME. Lin et al., "GUME: Graphs and User Modalities Enhancement for Long-Tail Multimodal Recommendation", CIKM 2024.

https://arxiv.org/abs/2407.12338

Equation: the user-item graph gets an edge of weight one between items that are each other's neighbours in the kNN
graphs S_m of two modalities or more; A+ is its D^-1/2 A D^-1/2, R+ its user-item block. Behaviour g = LightGCN(E) on
A+. Content z_m = E_item * sigmoid(W'_m (W_m x_m + b) + b'), h_m = S_m^n z_m, users R+ h_m. Extended views
x_m = LightGCN([U_m; h_m]) on A+ with a table of users for each modality, x = mean_m x_m. Per node common = sum_m a_m
h_m, a = softmax_m q' tanh(W h_m + b); specific_m = sigmoid(B_m g + b_m) * (h_m - common); t = (sum_m specific_m +
common) / (M + 1). e = g + t; y_ui = <e_u, e_i>. Loss = BPR + reg_weight * half the squared norm of the batch's e
+ distance_weight * sum over pairs of modalities (|var(h_m) - var(h_m')| + |mean(h_m) - mean(h_m')|, of all entries)
+ behaviour_weight * (InfoNCE(t_u, g_u) + InfoNCE(t_i, g_i))
+ user_weight * (InfoNCE(x_u, t_u) + InfoNCE(t_u + noise, t_u + noise') + InfoNCE(x_u + noise, x_u + noise'))
+ extended_weight * half the squared norm of the batch's positive x_i / B.

Deviations: edges between items count in both directions (published: each item's own neighbours; a cold item that is
only pointed at would have degree zero and weights of thousands). The published code takes neighbours in common of
exactly two modalities; here of at least two, and with one modality none. InfoNCE runs over distinct users and items
(published: over the batch's list, in which a user who stands there twice is their own negative). A node that lacks a
modality leaves it out of attention and mean. Raw features stay frozen, the learning rate constant.

Complexity: O((E L + k I) M D + I F D + B^2 D) a step; no term is quadratic in items or users.
"""

from itertools import combinations
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.graphs import binary, mix, normalise_symmetric
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, info_nce, squared_norm
from mrs_pipeline.functional.noise import sign_noise
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import distinct_rows, pair_rows
from mrs_pipeline.models.layers.interactions import propagation_graph
from mrs_pipeline.models.layers.item_graphs import ItemGraphConfig, item_graphs, linked
from mrs_pipeline.models.layers.lightgcn import LightGcnRecommender, mean_of_layers
from mrs_pipeline.models.layers.modality_attention import ViewAttention
from mrs_pipeline.models.layers.parameters import embedding, linear
from mrs_pipeline.models.layers.purifier import Purifier
from mrs_pipeline.models.layers.two_sides import users_with
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_NOISE = 0.1
"""Length of the noise that a row gets before it is contrasted with itself."""


class GumeConfig(ItemGraphConfig):
    """Settings of GUME; the defaults are those for Baby."""

    search_space: ClassVar[SearchSpace] = {
        "behaviour_temperature": (0.2, 0.4),
        "user_weight": (0.01, 0.1),
        "user_temperature": (0.1, 0.2),
        "distance_weight": (0.001, 0.01, 0.1),
    }

    n_layers: int = Field(default=3, ge=1, le=8)
    """Propagation steps L on the extended user-item graph."""
    reg_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norm of the batch's vectors."""
    distance_weight: float = Field(default=0.1, ge=0)
    """Weight of the distance between the modalities' moments."""
    behaviour_weight: float = Field(default=0.01, ge=0)
    """Weight of the contrast between content and behaviour."""
    behaviour_temperature: float = Field(default=0.4, gt=0)
    """Of that contrast's softmax."""
    user_weight: float = Field(default=0.01, ge=0)
    """Weight of the contrasts of extended users."""
    user_temperature: float = Field(default=0.1, gt=0)
    """Of these contrasts' softmax."""
    extended_weight: float = Field(default=0.1, ge=0)
    """Weight of the squared norm of the positives' extended vectors."""


class Gume(LightGcnRecommender[GumeConfig]):
    """Item edges for the long tail, users with modalities of their own; see the module."""

    spec = ModelSpec(
        name="gume",
        title="GUME",
        paper="Lin et al., CIKM 2024",
        url="https://arxiv.org/abs/2407.12338",
        cells=frozenset(
            {Cell.USER_ITEM_GRAPH, Cell.ITEM_ITEM_GRAPH, Cell.COARSE_ATTENTION, Cell.CONTRASTIVE}
        ),
        complexity="O((E L + k I) M D + I F D + B^2 D)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = GumeConfig

    def __init__(self, config: GumeConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        graphs = item_graphs(inputs, config.knn_k, self.spec.name)
        extended = _extended_graph(inputs, list(graphs.values()))
        super().__init__(config, inputs, generator, SparseOperator.from_csr(extended, symmetric=True))
        size, users = config.embedding_size, torch.arange(inputs.n_users, device=inputs.device)
        of_users = extended.take(users)
        block = Csr.from_pairs(
            of_users.row_numbers(),
            of_users.indices.long() - inputs.n_users,
            of_users.weights,
            (inputs.n_users, inputs.n_items),
        )
        self._to_users = SparseOperator.from_csr(block)
        self._item_has = linked(graphs)
        self._has = torch.cat([users_with(inputs, self._item_has), self._item_has])
        self._features = inputs.features
        self._item_graphs = {
            modality: SparseOperator.from_csr(normalise_symmetric(graph))
            for modality, graph in graphs.items()
        }
        self.purifiers, self.selectors = nn.ModuleDict(), nn.ModuleDict()
        self.extended_users = nn.ParameterDict()
        for modality, values in inputs.features.items():
            self.purifiers[modality] = Purifier(values.shape[1], size, generator)
            self.selectors[modality] = linear(size, size, generator)
            self.extended_users[modality] = embedding(inputs.users_seen(), size, generator)
        self.attention = ViewAttention(size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the final vectors; distance of modalities; contrasts; norm of extended items."""
        config, views = self.config, self._item_views()
        behaviour, stacked = self._nodes(views)
        side = self._side(behaviour, stacked)
        x_users, x_items = self._extended(views)
        all_users, all_items = (behaviour + side).split_with_sizes([self.n_users, self.n_items])
        user, positive, negative = pair_rows(all_users, all_items, batch)
        (users, user_weights), (items, item_weights) = distinct_rows(batch)
        one, other = config.behaviour_temperature, config.user_temperature
        nodes = torch.cat([users, items + self.n_users])
        t_user, t_item = take_rows(side, nodes).split_with_sizes([len(users), len(items)])
        g_user, g_item = take_rows(behaviour, nodes).split_with_sizes([len(users), len(items)])
        x_user = take_rows(x_users, users)
        against_itself = sum(
            self._noisy(rows, other, user_weights, len(batch.users)) for rows in (t_user, x_user)
        )
        return {
            "bpr": bpr_inner(user, positive, negative),
            "reg": config.reg_weight * squared_norm(user, positive, negative),
            "distance": config.distance_weight * _distances(stacked),
            "behaviour": config.behaviour_weight
            * (info_nce(t_user, g_user, one, user_weights) + info_nce(t_item, g_item, one, item_weights)),
            "users": config.user_weight * (info_nce(x_user, t_user, other, user_weights) + against_itself),
            "extended": config.extended_weight * squared_norm(take_rows(x_items, batch.positives)),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Behaviour plus content, users [U, D] and items [I, D]."""
        behaviour, stacked = self._nodes(self._item_views())
        final = behaviour + self._side(behaviour, stacked)
        users, items = final.split_with_sizes([self.n_users, self.n_items])
        return users, items

    def _item_views(self) -> list[Tensor]:
        """h_m [I, D] of each modality."""
        views = []
        for modality, values in self._features.items():
            view = self.item_embedding * self.purifiers[modality](values)
            for _ in range(self.config.n_item_layers):
                view = self._item_graphs[modality] @ view
            views.append(view)
        return views

    def _nodes(self, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Behaviour g [N, D] and the views of all nodes [N, M, D]."""
        nodes = [torch.cat([self._to_users @ view, view]) for view in views]
        return torch.cat(self.propagated()), torch.stack(nodes, dim=1)

    def _extended(self, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Extended x of users [U, D] and items [I, D]; the mean over modalities and the propagation commute."""
        users = torch.stack(list(self.extended_users.values())).mean(0)
        return mean_of_layers(self._adjacency, users, torch.stack(views).mean(0), self.config.n_layers)

    def _side(self, behaviour: Tensor, views: Tensor) -> Tensor:
        """The content side t [N, D]."""
        has = self._has.to(views.dtype)
        common = torch.einsum("nm,nmd->nd", self.attention(views, self._has), views)
        total = common
        for number, selector in enumerate(self.selectors.values()):
            gate = torch.sigmoid(selector(behaviour)) * has[:, number : number + 1]
            total = torch.addcmul(total, views[:, number] - common, gate)
        return total / (has.sum(1, keepdim=True) + 1)

    def _noisy(self, rows: Tensor, temperature: float, weights: Tensor | None, most: int) -> Tensor:
        one, other = (rows + sign_noise(rows, _NOISE, self.generator, most) for _ in range(2))
        return info_nce(one, other, temperature, weights)


def _distances(views: Tensor) -> Tensor:
    """Sum over pairs of modalities of the differences of variance and mean, of views [N, M, D]."""
    pairs = combinations([(view.var(), view.mean()) for view in views.unbind(1)], 2)
    gaps = [torch.stack(one).sub(torch.stack(other)).abs().sum() for one, other in pairs]
    return torch.stack([views.new_zeros(()), *gaps]).sum()


def _extended_graph(inputs: ModelInputs, graphs: list[Csr]) -> Csr:
    """A+ [N, N]."""
    known = propagation_graph(inputs)
    if len(graphs) < 2:
        return normalise_symmetric(known)
    every = torch.ones(inputs.n_items, device=inputs.device)
    votes = mix([binary(graph) for graph in graphs], [every] * len(graphs))
    rows, columns = votes.row_numbers(), votes.indices.long()
    agreed = (votes.weights > 1.5) & (rows != columns)
    one, other = rows[agreed] + inputs.n_users, columns[agreed] + inputs.n_users
    edges = Csr.from_pairs(
        torch.cat([known.row_numbers(), one, other]),
        torch.cat([known.indices.long(), other, one]),
        torch.cat([known.weights, known.weights.new_ones(2 * len(one))]),
        known.shape,
    )
    return normalise_symmetric(binary(edges))
