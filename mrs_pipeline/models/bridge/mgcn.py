"""MGCN. Yu et al., "Multi-View Graph Convolutional Network for Multimedia Recommendation", MM 2023.

https://arxiv.org/abs/2308.03588

Equation: behaviour c = LightGCN(E). Content purified by behaviour, z_m = E_item * sigmoid(W'_m (W_m x_m)), is
spread over the item graph S_m of each modality (kNN, cosine weights, D^-1/2 S D^-1/2), h_m = S_m z_m, and to
users, R^ h_m (R^ = user-item block of the normalised adjacency). Per node: common = sum_m a_m h_m with
a = softmax_m q' tanh(W h_m + b); specific_m = (h_m - common) * sigmoid(W''_m c); side = (sum_m specific_m +
common) / (M + 1). e = c + side; y_ui = <e_u, e_i>; loss = BPR + reg_weight * half the squared norm of the
batch's e + cl_weight * (InfoNCE(side_i, c_i) over its positive items + InfoNCE(side_u, c_u) over its users).

Deviations: any number of modalities; a node that lacks a modality (an item without features, a user of such
items only) leaves it out of attention and mean, and a node without any takes no part in InfoNCE; raw
features stay frozen (the published code fine-tunes them, two thirds of whose step would be spent there) and
the learning rate constant (published: times .96 every 50 epochs); no cosine below zero in an item graph.
Identifiers of items never seen in training are zero: these items are ranked by their neighbours' content.

Complexity: O((E L + k I M + E M) D + I F D) a step and O(B^2 D) for InfoNCE, plus Adam's O((U + I) D).
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.graphs import normalise_symmetric
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.item_graphs import item_graphs, linked
from mrs_pipeline.models.layers.modality_attention import ViewAttention
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.purifier import Purifier
from mrs_pipeline.models.layers.two_sides import TwoSidedConfig, TwoSidedRecommender
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MgcnConfig(TwoSidedConfig):
    """Settings of MGCN."""

    search_space: ClassVar[SearchSpace] = {"cl_weight": (1e-3, 1e-2, 1e-1)}


class Mgcn(TwoSidedRecommender[MgcnConfig]):
    """Content purified by behaviour, spread over item graphs and fused by behaviour; see the module."""

    spec = ModelSpec(
        name="mgcn",
        title="MGCN",
        paper="Yu et al., MM 2023",
        url="https://arxiv.org/abs/2308.03588",
        cells=frozenset(
            {Cell.USER_ITEM_GRAPH, Cell.ITEM_ITEM_GRAPH, Cell.COARSE_ATTENTION, Cell.CONTRASTIVE}
        ),
        complexity="O((E L + (k I + E) M) D + I F D + B^2 D)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = MgcnConfig

    def __init__(self, config: MgcnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        graphs = item_graphs(inputs, config.knn_k, self.spec.name)
        self.set_views(inputs, linked(graphs))
        self._features = inputs.features
        self._item_graphs = {
            modality: SparseOperator.from_csr(normalise_symmetric(graph))
            for modality, graph in graphs.items()
        }
        self._complete = (self._item_has.all(0) & self._user_has.all(0)).tolist()
        self.purifiers, self.selectors = nn.ModuleDict(), nn.ModuleDict()
        for modality, values in inputs.features.items():
            self.purifiers[modality] = Purifier(values.shape[1], size, generator)
            self.selectors[modality] = linear(size, size, generator)
        self.attention = ViewAttention(size, generator)

    def item_views(self) -> list[Tensor]:
        """h_m [I, D], one a modality."""
        return [self._item_view(modality) for modality in self._features]

    def _item_view(self, modality: str) -> Tensor:
        view: Tensor = self.item_embedding * self.purifiers[modality](self._features[modality])
        for _ in range(self.config.n_item_layers):
            view = self._item_graphs[modality] @ view
        return view

    def side(self, behaviour: Tensor, views: list[Tensor], has: Tensor) -> Tensor:
        """[n, D] from c [n, D], views [n, D] each and which modalities the nodes have [n, M]."""
        shares = self.attention(torch.stack(views, dim=1), has)
        common = torch.zeros_like(behaviour)
        for number, view in enumerate(views):
            common = torch.addcmul(common, shares[:, number : number + 1], view)
        total = common
        for number, (view, selector) in enumerate(zip(views, self.selectors.values(), strict=True)):
            gate = torch.sigmoid(selector(behaviour))
            if not self._complete[number]:
                gate = gate * has[:, number : number + 1]
            total = torch.addcmul(total, view - common, gate)
        return total / (has.sum(1, keepdim=True) + 1)
