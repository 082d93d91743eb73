"""VI-MMRec-style wrapper: any model on LightGCN's propagation with virtual interactions in its graph.

After Xu et al., "VI-MMRec: Similarity-Aware Training Cost-free Virtual User-Item Interactions for Multimodal
Recommendation", KDD 2026. https://arxiv.org/abs/2512.08702

Equation: a user u likes an item j that it has not had by q_u^m(j) = sum over u's items i of max(0, cos(x_i^m, x_j^m)),
as far as j is among the `knn_k` nearest of i in modality m. `overlay`: the `n_edges` largest of each modality, over
their largest, are edges of weight `weight` * sum_m w_m q^m; `synergistic`: the `n_edges` largest of sum_m w_m q^m,
over their largest, times `weight`. w_m is proportional to max(0, the mean cosine of two items of one user - that of
two items of all pairs). The backbone propagates over the training pairs (weight 1) and these edges, normalised
together; its loss, its positives and what is excluded from a ranking are those of the training pairs.

Deviations: written from the paper's abstract. That similarities of items that were taken make the edges, the two
strategies, and that weights come from how much a modality says in the data are the paper's; the formulas, the nearest
neighbours and all defaults are ours. The paper wraps any model; here one on LightGCN's propagation, and what such a
model derives from interactions beside that graph (LGMRec's hyperedges, users' content in MGCN) is left as it is.

Complexity: the backbone's step over `n_edges` U M more edges; before it O(E k) for the likings and O(M E F) for the
weights, in blocks.
"""

from typing import ClassVar

from pydantic import Field

from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.item_graphs import item_graphs
from mrs_pipeline.models.layers.virtual_edges import EdgeChoice, virtual_edges, with_virtual
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.models.wrapper import WrapperConfig, WrappingRecommender
from mrs_pipeline.taxonomy import Cell


class ViMmRecConfig(WrapperConfig):
    """Settings of VI-MMRec-style."""

    search_space: ClassVar[SearchSpace] = {
        "weight": (0.1, 0.2, 0.5),
        "n_edges": (3, 5, 10),
        "strategy": ("overlay", "synergistic"),
    }

    strategy: EdgeChoice = "overlay"
    """Whether edges are chosen in each modality and added up, or chosen from the sum over the modalities."""
    n_edges: int = Field(default=5, ge=0, le=1000)
    """Virtual edges of a user, of each modality or of all; 0 leaves the backbone as it is."""
    weight: float = Field(default=0.2, ge=0, le=1)
    """Of a user's strongest virtual edge, where an interaction has 1."""


class ViMmRec(WrappingRecommender[ViMmRecConfig]):
    """A backbone whose graph has virtual edges; see the module."""

    spec = ModelSpec(
        name="vi_mmrec",
        title="VI-MMRec-style",
        paper="after Xu et al., KDD 2026",
        url="https://arxiv.org/abs/2512.08702",
        cells=frozenset({Cell.USER_ITEM_GRAPH}),
        complexity="backbone + O(M U n L D)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
        pointed_at=True,
    )
    Config = ViMmRecConfig

    def as_wrapped(self, inputs: ModelInputs) -> ModelInputs:
        """With virtual edges in the graph of propagation."""
        config = self.config
        graphs = item_graphs(inputs, config.knn_k, self.spec.name)
        edges = virtual_edges(inputs, graphs, config.n_edges, config.weight, config.strategy)
        return with_virtual(inputs, edges)
