"""PMGT, first step. Liu et al., "Pre-training Graph Transformer with Multimodal Side Information", MM 2021.

In full: "Pre-training Graph Transformer with Multimodal Side Information for Recommendation".
https://arxiv.org/abs/2010.12284

Equation: an item and the `n_contexts` items that random walks of `hops` draws meet most, on a graph of items that
share users mixed with the modalities' nearest neighbours, form a sequence; tokens are fused modalities
(`ModalityAttention`), layers are those of `GraphTransformer`; h_i is the item's own last state. Loss =
structure: -log sigmoid(cos(h_i, h_j)) for neighbours j and -log sigmoid(-cos(h_i, h_j)) for others, plus
features: |W_m h_c - x~^m_c|^2 / F of contexts c that were masked (16 %) or replaced (2 %). The result is `pmgt`.

Deviations: the paper's graph is of co-interaction alone; here `content_share` of an item's walks follow the kNN
graphs, so that cold items have surroundings. Walks draw in proportion to the weights (cosines, each graph's adding
up to its share) in place of a softmax of counts. One draw of contexts an item and epoch serves all places where the
item occurs, and each item of a batch is encoded once, whatever pairs it is in; both tasks look at the same pass.
Negatives are the other targets of the batch. Features are standardised, so that no modality's scale decides the
loss. A modality that an item lacks has no share in its token and is not reconstructed. What the public port gets
wrong and this does not: negatives that are neighbours, the item itself or padding; padding attended to.
The AdamW step is 1e-3 in place of 1e-4, for batches of 512.

Complexity: O(B n (L S D^2 + M F D)) a step for n pairs an item and sequences of S; O(I prod(hops)) an epoch to walk,
in blocks of items.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, logsigmoid

from mrs_pipeline.functional.graphs import mix, nearest, shared_partners_graph
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.neighbourhoods import NOBODY, NeighbourSampler, contexts
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.config import NeighbourSetting, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.modality_attention import FeatureAttention
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.standard_features import StandardFeatures
from mrs_pipeline.models.pretraining.base import Pretrainer, PretrainerSpec, PretrainingConfig, vector_matrix
from mrs_pipeline.models.pretraining.graph_transformer import GraphTransformer
from mrs_pipeline.types import FeatureMatrix


class PmgtPretrainingConfig(PretrainingConfig):
    """Settings of PMGT's pretraining."""

    search_space: ClassVar[SearchSpace] = {"content_share": (0.2, 0.5, 0.8), "diversity": (0.0, 0.5, 1.0)}
    former_names: ClassVar[Mapping[str, str]] = {"knn_k": "walk_k"}

    embedding_size: int = Field(default=128, ge=1, le=4096)
    """Width D of hidden states and item vectors."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """AdamW's decoupled weight decay."""
    n_layers: int = Field(default=5, ge=1, le=24)
    """Transformer layers."""
    diversity: float = Field(default=0.5, ge=0, le=1)
    """beta: share of the attention that prefers contexts unlike each other."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of hidden values and attention weights left out in training."""
    walk_k: int = Field(default=10, ge=1, le=200)
    """Neighbours of an item in each graph that is walked; the dataset's `item_graph_k`, which counts the item itself,
    must be at least as large."""
    content_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the walks that follow the modalities' kNN graphs where an item has both kinds of neighbours."""
    hops: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(16, 8, 4), min_length=1, max_length=4)
    """Neighbours drawn from each node met at the hop before."""
    n_contexts: int = Field(default=5, ge=1, le=64)
    """Contexts of an item."""
    n_pairs: int = Field(default=5, ge=1, le=64)
    """Neighbours, and as many other items, that an item is contrasted with."""
    mask_share: float = Field(default=0.16, gt=0, lt=1)
    """Share of contexts whose features are hidden and to be reconstructed."""
    replace_share: float = Field(default=0.02, ge=0, lt=1)
    """Share of contexts that show another item's features and are to be reconstructed."""

    @model_validator(mode="after")
    def _shares_leave_some(self) -> Self:
        if self.mask_share + self.replace_share > 1:
            raise ValueError(
                f"mask_share {self.mask_share:g} and replace_share {self.replace_share:g} add up to more than 1; "
                "lower one of them"
            )
        return self

    @property
    def item_neighbours(self) -> NeighbourSetting:
        """`walk_k`."""
        return NeighbourSetting("walk_k", self.walk_k)


class PmgtPretrainer(Pretrainer[PmgtPretrainingConfig]):
    """A graph Transformer that reconstructs edges and features; see the module."""

    spec = PretrainerSpec(
        name="pmgt",
        title="PMGT",
        paper="Liu et al., MM 2021",
        url="https://arxiv.org/abs/2010.12284",
        complexity="O(B n (L S D^2 + M F D))",
        item_graph=True,
    )
    Config = PmgtPretrainingConfig

    def __init__(
        self, config: PmgtPretrainingConfig, inputs: ModelInputs, generator: torch.Generator
    ) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._present = inputs.present
        self._features = StandardFeatures(inputs.features, inputs.present)
        self._sampler = NeighbourSampler.from_csr(walked_graph(inputs, config))
        self._contexts = torch.empty(0, dtype=torch.int64, device=inputs.device)
        self.fusion = FeatureAttention(inputs, size, generator)
        self.transformer = GraphTransformer(
            size,
            1 + config.n_contexts,
            generator,
            n_layers=config.n_layers,
            diversity=config.diversity,
            dropout_share=config.dropout,
        )
        self.heads = nn.ModuleDict(
            {name: linear(size, values.shape[1], generator) for name, values in inputs.features.items()}
        )
        mask = torch.empty(1, size, device=generator.device)
        self.mask: nn.Parameter = nn.Parameter(nn.init.xavier_normal_(mask, generator=generator)[0])

    def items(self) -> Tensor:
        """Items that have neighbours; the others have no place in the graph."""
        return self._sampler.counts.nonzero().flatten()

    def start_epoch(self) -> None:
        """Walks from every item."""
        everyone = torch.arange(self.n_items, device=self.generator.device)
        hops, n_contexts = self.config.hops, self.config.n_contexts
        self._contexts = contexts(self._sampler, everyone, hops, n_contexts, self.generator)

    def loss(self, items: Tensor) -> dict[str, Tensor]:
        """Reconstruction of edges and of hidden features."""
        left, right, joined = self._pairs(items)
        nodes, place = torch.unique(torch.cat([left, right]), return_inverse=True)
        hidden, lost, lost_items = self._encoded(nodes, corrupted=True)
        first, second = take_rows(hidden[:, 0], place).chunk(2)
        cosine = cosine_similarity(first, second)
        return {
            "structure": -logsigmoid(torch.where(joined, cosine, -cosine)).mean(),
            "features": self._reconstruction(hidden[lost], lost_items),
        }

    def matrices(self) -> Mapping[str, FeatureMatrix]:
        """The last state of every item that has content or neighbours, block by block."""
        self.start_epoch()
        everyone = torch.arange(self.n_items, device=self.generator.device)
        blocks = [self._encoded(block, corrupted=False)[0][:, 0] for block in torch.split(everyone, 2048)]
        known = torch.stack(list(self._present.values())).any(0) | (self._sampler.counts > 0)
        name = self.spec.name
        return {name: vector_matrix(name, torch.cat(blocks), known)}

    def _pairs(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Targets, the items beside them and whether these are neighbours; all [P]."""
        n = self.config.n_pairs
        near = self._sampler.draw(items, n, self.generator)
        steps = torch.randint(
            1, max(len(items), 2), near.shape, generator=self.generator, device=items.device
        )
        rows = torch.arange(len(items), device=items.device).unsqueeze(1)
        far = items[(rows + steps) % len(items)]
        left = items.repeat_interleave(n)
        near, far = near.flatten(), far.flatten()
        strangers = (far != left) & ~self._sampler.are_neighbours(left, far)
        related = near != NOBODY
        joined = torch.cat([torch.ones_like(near[related]), torch.zeros_like(far[strangers])])
        return (
            torch.cat([left[related], left[strangers]]),
            torch.cat([near[related], far[strangers]]),
            joined.bool(),
        )

    def _encoded(self, nodes: Tensor, *, corrupted: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states [n, S, D], which places hold hidden features [n, S], and whose these are."""
        sequences = torch.cat([nodes.unsqueeze(1), self._contexts[nodes]], dim=1)
        absent = sequences == NOBODY
        lost = torch.zeros_like(absent)
        shown = sequences
        if corrupted:
            draw = torch.rand(sequences.shape, generator=self.generator, device=nodes.device)
            open_to = ~absent
            open_to[:, 0] = False  # the item itself stays as it is
            masked = open_to & (draw < self.config.mask_share)
            lost = open_to & (draw < self.config.mask_share + self.config.replace_share)
            others = torch.randint(
                self.n_items, sequences.shape, generator=self.generator, device=nodes.device
            )
            shown = torch.where(lost & ~masked, others, sequences)
        known, place = torch.unique(shown.clamp(min=0), return_inverse=True)
        tokens = take_rows(self.fusion(known), place.flatten()).view(*sequences.shape, -1)
        if corrupted:
            tokens = torch.where(masked.unsqueeze(2), self.mask, tokens)
        return self.transformer(tokens, absent), lost, sequences[lost]

    def _reconstruction(self, hidden: Tensor, items: Tensor) -> Tensor:
        """Mean over modalities of the squared error of the features that were hidden."""
        errors = []
        for modality, head in self.heads.items():
            kept = take_rows(self._present[modality], items)
            gaps = head(hidden[kept]) - self._features.rows(modality, items[kept])
            errors.append(gaps.square().sum() / max(gaps.numel(), 1))
        return torch.stack(errors).mean()


def walked_graph(inputs: ModelInputs, config: PmgtPretrainingConfig) -> Csr:
    """Co-interaction and content neighbours; an item's weights add up to one, or to zero if it has none."""
    shape = (inputs.n_items, inputs.n_users)
    graphs = [shared_partners_graph(inputs.items, inputs.users, shape, config.walk_k)]
    content = [_others(nearest(graph, config.walk_k + 1)) for graph in inputs.item_graphs.values()]
    graphs += content
    wanted = [1 - config.content_share, *[config.content_share / len(content)] * len(content)]
    sums = [_row_sums(graph) for graph in graphs]
    shares = torch.stack([share * (total > 0) for share, total in zip(wanted, sums, strict=True)])
    scale = shares / shares.sum(0).clamp(min=torch.finfo(shares.dtype).tiny)
    return mix(graphs, [part / total.clamp(min=1e-12) for part, total in zip(scale, sums, strict=True)])


def _others(graph: Csr) -> Csr:
    """Without the edges of nodes to themselves and to what points away from them."""
    keep = (graph.row_numbers() != graph.indices.long()) & (graph.weights > 0)
    return Csr.from_pairs(graph.row_numbers()[keep], graph.indices[keep], graph.weights[keep], graph.shape)


def _row_sums(graph: Csr) -> Tensor:
    return graph.weights.new_zeros(graph.shape[0]).index_add_(0, graph.row_numbers(), graph.weights)
