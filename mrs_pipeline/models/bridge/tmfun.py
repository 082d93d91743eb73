"""TMFUN-style. After Zhou et al., "Attention-guided Multi-step Fusion [...] for Multimodal Recommendation", SIGIR 2023.

https://arxiv.org/abs/2312.11816

Equation: h_m = S_m W_m x^m with S_m the modality's kNN graph; early fusion z = E_item + sum_m a_m h_m, a_i = softmax
over the modalities that i has of <Q E_i, h_im> / sqrt(D); (u, i) = LightGCN([E_user; z]); late fusion i += unit(S_f z)
with S_f the kNN graph of all modalities' unit rows side by side; y_ui = <u, i>; loss = BPR + reg_weight * half the
squared norm of the batch's vectors + cl_weight * mean over pairs of modalities of InfoNCE(h_m, h_m') over the batch's
positives that have both.

A guess where the paper's text is all there is: from its abstract come the graphs of modalities and of items, attention
between interaction and modality data for early fusion, several steps of fusion and contrast between modalities; every
formula above is ours. No figure of the paper is claimed.

Complexity: O((E L + k I M) D + I F D + B^2 D M^2) a step; the joined graph once O(I^2 F) time in blocks.
"""

from itertools import combinations
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.graphs import normalise_symmetric
from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, info_nce, squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import once, pair_rows
from mrs_pipeline.models.layers.item_graphs import ItemGraphConfig, item_graphs, joined_graph, linked
from mrs_pipeline.models.layers.lightgcn import LightGcnRecommender, mean_of_layers
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class TmfunConfig(ItemGraphConfig):
    """Settings of the TMFUN-style model."""

    search_space: ClassVar[SearchSpace] = {"cl_weight": (1e-3, 1e-2, 1e-1), "reg_weight": (1e-5, 1e-4, 1e-3)}

    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the squared norm of the batch's vectors."""
    cl_weight: float = Field(default=1e-2, ge=0)
    """Weight of the contrast between modalities."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the contrast's softmax."""


class Tmfun(LightGcnRecommender[TmfunConfig]):
    """Fusion before and after the propagation; see the module."""

    spec = ModelSpec(
        name="tmfun",
        title="TMFUN-style",
        paper="after Zhou et al., SIGIR 2023",
        url="https://arxiv.org/abs/2312.11816",
        cells=frozenset({Cell.ITEM_ITEM_GRAPH, Cell.COARSE_ATTENTION, Cell.CONTRASTIVE}),
        complexity="O((E L + k I M) D + I F D + B^2 D M^2)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
    )
    Config = TmfunConfig

    def __init__(self, config: TmfunConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        graphs = item_graphs(inputs, config.knn_k, self.spec.name)
        self._has, self._features = linked(graphs), inputs.features
        self._graphs = {
            name: SparseOperator.from_csr(normalise_symmetric(graph)) for name, graph in graphs.items()
        }
        self._joined = SparseOperator.from_csr(normalise_symmetric(joined_graph(inputs, config.knn_k)))
        self.projections = nn.ModuleDict(
            {
                name: linear(values.shape[1], config.embedding_size, generator, bias=False)
                for name, values in inputs.features.items()
            }
        )
        # one modality gets the whole share whatever the attention says
        self.query: nn.Linear | None = None
        if len(inputs.features) > 1:
            self.query = linear(config.embedding_size, config.embedding_size, generator, bias=False)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the final vectors, contrast between modalities."""
        config, views = self.config, self._item_views()
        rows = pair_rows(*self._final(views), batch)
        terms = {"bpr": bpr_inner(*rows), "reg": config.reg_weight * squared_norm(*rows)}
        (items, weights), contrasts = once(batch.positives), []
        has = take_rows(self._has, items)
        for one, other in combinations(range(len(views)), 2):
            mask = has[:, one] & has[:, other]
            both = marked(mask if weights is None else mask & (weights > 0))
            if not both.none:
                first, second = (both.take(take_rows(views[number], items)) for number in (one, other))
                contrasts.append(info_nce(first, second, config.temperature, both.weights))
        if contrasts:
            terms["contrast"] = config.cl_weight * torch.stack(contrasts).mean()
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Propagated vectors, items with their joined neighbours."""
        return self._final(self._item_views())

    def _item_views(self) -> list[Tensor]:
        """h_m [I, D] of each modality."""
        views = []
        for name, layer in self.projections.items():
            view = layer(self._features[name])
            for _ in range(self.config.n_item_layers):
                view = self._graphs[name] @ view
            views.append(view)
        return views

    def _final(self, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        stacked = torch.stack(views, dim=1)
        asked = self.item_embedding if self.query is None else self.query(self.item_embedding)
        scores = (stacked * asked.unsqueeze(1)).sum(2) / stacked.shape[2] ** 0.5
        shares = masked_softmax(scores, self._has)
        z = self.item_embedding + torch.einsum("nm,nmd->nd", shares, stacked)
        users, items = mean_of_layers(self._adjacency, self.user_embedding, z, self.config.n_layers)
        return users, items + unit_rows(self._joined @ z)
