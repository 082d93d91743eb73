"""DA-MRS. Xv et al., "Improving Multi-modal Recommender Systems by Denoising and Aligning [...]", KDD 2024.

https://arxiv.org/abs/2406.12501

Equation: item graphs S_g: for each modality the `knn_k` nearest items by cosine among those whose cosine is at least
the mean of all pairs in every modality; from behaviour the `n_neighbours` items that share most users with an item,
two at the least, and the item itself; weights 1 / sqrt(n_i n_j) with n the neighbours of a row. h_g = S_g^n E_item, h =
mean_g h_g; (u, i) = LightGCN(E); y_ui = <u, i + h_i>. Loss =
- denoised BPR, -mean (w+ log sigmoid(d) + w- log sigmoid(-d)) with d = y_ui - y_uj, p_g = sigmoid(<u, unit(h_g of the
  positive)>), n the mean of the same for all negatives and g; w+ = clip(mean_g p exp(-var_g p)^2, 0, 1), w- =
  clip((max_g p - n) [mean_g p < n], 0, 1), both constants;
- item_weight * mean over g of: with s_g(b, j) = exp(cos(h_g,b, h_g,j) / .2) and pi_g the softmax of these cosines over
  items j, P the 10 items of largest sum of the others' pi + 2 pi_g, Q those of largest pi_g outside P,
  -log(sum_P s / sum s) - log(sum_Q s / (sum s - sum_P s)), averaged over the batch's items b;
- user_weight * mean over the batch's users and items of the two-sided Bernoulli divergence of sigmoid(<u, unit(i)>)
  and sigmoid(<u, unit(h_i)>).

Deviations: items j are all items up to `n_candidates`, else that many drawn anew at each step beside the batch's own
(published: always all). A modality that an item lacks has no say and no graph for it; h is the mean over the graphs
an item has. The published count of shared users fills a dense [I, I], here blocks. The divergence is computed from
logits and is finite where a sigmoid saturates.

Complexity: O((E L + k I M) D + B J M D) a step with J items compared; the graphs once O(I^2 F) time in blocks.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from mrs_pipeline.functional.agreeing_graphs import agreeing_neighbours
from mrs_pipeline.functional.distinct import distinct, mean_of, repeated
from mrs_pipeline.functional.graphs import binary, nearest, normalise_symmetric, with_self_loops
from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.layers.partners import partners
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_SHARED = 1.5
"""Two items are joined if more users than this have taken both."""
_NEVER = 1e4
"""No cosine is as far from zero: items that stand there twice are never near."""
_ALIGNED, _TEMPERATURE = 10, 0.2
"""Items that are drawn near at once, and the softmax that draws them, as published."""


class DaMrsConfig(LightGcnBackboneConfig):
    """Settings of DA-MRS."""

    search_space: ClassVar[SearchSpace] = {
        "item_weight": (1e-4, 1e-3, 1e-2),
        "user_weight": (0.1, 1.0),
        "n_neighbours": (2, 5, 10),
    }

    n_item_layers: int = Field(default=1, ge=1, le=8)
    """Propagation steps on the item graphs."""
    knn_k: int = Field(default=10, ge=1, le=200)
    """Neighbours of an item in a modality, itself among them."""
    n_neighbours: int = Field(default=2, ge=1, le=200)
    """Items of shared users that an item is joined with."""
    item_weight: float = Field(default=1e-3, ge=0)
    """Weight of the alignment of items."""
    user_weight: float = Field(default=1.0, ge=0)
    """Weight of the alignment of users' preferences."""
    n_candidates: int = Field(default=2048, ge=32, le=100_000)
    """Items that the alignment compares with, at most, beside the batch's own."""


class DaMrs(LightGcnRecommender[DaMrsConfig]):
    """Item graphs that all modalities agree on, feedback weighed by content; see the module."""

    spec = ModelSpec(
        name="damrs",
        title="DA-MRS",
        paper="Xv et al., KDD 2024",
        url="https://arxiv.org/abs/2406.12501",
        cells=frozenset({Cell.FILTRATION, Cell.ITEM_ITEM_GRAPH, Cell.CONTRASTIVE}),
        complexity="O((E L + k I M) D + B J M D)",
        features=FeatureUse.REQUIRED,
    )
    Config = DaMrsConfig

    def __init__(self, config: DaMrsConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        graphs = [*agreeing_neighbours(inputs.features, inputs.present, config.knn_k).values()]
        graphs.append(_behaviour_graph(inputs, config.n_neighbours))
        self._has = torch.stack([graph.indptr.diff() > 0 for graph in graphs], dim=1)
        self._graphs = [SparseOperator.from_csr(normalise_symmetric(graph)) for graph in graphs]

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Denoised BPR and the two alignments."""
        rows, config = DistinctRows.of(batch), self.config
        views = self._item_views()
        users, items = self.propagated()
        user, item = take_rows(users, rows.users), take_rows(items, rows.items)
        has = take_rows(self._has, rows.items)
        content = take_rows(self._mean_view(views), rows.items)
        terms = {
            "bpr": self._denoised(
                rows, user, item + content, [take_rows(view, rows.items) for view in views], has
            )
        }
        if config.item_weight > 0:
            terms["items"] = config.item_weight * self._item_alignment(views, rows.items, rows.item_weights)
        if config.user_weight > 0:
            one, other = user @ unit_rows(item).T, user @ unit_rows(content).T
            gaps = (torch.sigmoid(one) - torch.sigmoid(other)) * (one - other)
            of_users = mean_of(gaps.T, rows.item_weights)
            terms["users"] = config.user_weight * mean_of(of_users, rows.user_weights)
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Propagated vectors, items with the mean of their graphs."""
        users, items = self.propagated()
        return users, items + self._mean_view(self._item_views())

    def _item_views(self) -> list[Tensor]:
        """h_g [I, D] of each modality, then of behaviour."""
        views = []
        for graph in self._graphs:
            view: Tensor = self.item_embedding
            for _ in range(self.config.n_item_layers):
                view = graph @ view
            views.append(view)
        return views

    def _mean_view(self, views: list[Tensor]) -> Tensor:
        return torch.stack(views).sum(0) / self._has.sum(1, keepdim=True)

    def _denoised(
        self, rows: DistinctRows, user: Tensor, item: Tensor, views: list[Tensor], has: Tensor
    ) -> Tensor:
        """BPR weighed by how sure content is of it; `user`, `item`, `views` and `has` of the distinct rows."""
        users, positives, negatives = rows.pair_rows(user, item)
        gaps = (users * (positives - negatives)).sum(1)
        with torch.no_grad():
            likings = []
            for view in views:
                pair = rows.pair_rows(user, unit_rows(view))
                likings.append(torch.sigmoid(torch.stack([(pair[0] * each).sum(1) for each in pair[1:]])))
            of_positives, of_negatives = torch.stack(likings, dim=2)
            counted, others = take_rows(has, rows.item_place).chunk(2)
            background = (of_negatives * others).sum() / others.sum()
            sure, doubted = confidence(of_positives, counted, background)
        return -(sure * logsigmoid(gaps) + doubted * logsigmoid(-gaps)).mean()

    def _item_alignment(self, views: list[Tensor], asked: Tensor, weights: Tensor | None) -> Tensor:
        """Mean over graphs and items `asked` [n] of the two softmax terms."""
        candidates = torch.arange(self.n_items, device=self.device)
        if self.n_items > self.config.n_candidates:
            drawn = torch.randint(
                self.n_items, (self.config.n_candidates,), generator=self.generator, device=self.device
            )
            candidates = distinct(torch.cat([asked, drawn]))[0]
        doubled = repeated(candidates)
        unit = [unit_rows(view) for view in views]
        cosines = [
            (take_rows(view, asked) @ take_rows(view, candidates).T).masked_fill(doubled, -_NEVER)
            for view in unit
        ]
        shares = [cosine.detach().softmax(1) for cosine in cosines]
        total, n_near = torch.stack(shares).sum(0), min(_ALIGNED, len(candidates) // 2)
        has, terms = take_rows(self._has, asked), []
        for number, cosine in enumerate(cosines):
            logits = cosine / _TEMPERATURE
            near = top_k(total + shares[number], n_near)[1]
            outside = shares[number].scatter(1, near, 0.0)
            next_near = top_k(outside, n_near)[1]
            rest = logits.scatter(1, near, -torch.inf)
            term = logits.logsumexp(1) - logits.gather(1, near).logsumexp(1)
            term = term + rest.logsumexp(1) - logits.gather(1, next_near).logsumexp(1)
            known = has[:, number].to(term.dtype)
            if weights is not None:
                known = known * weights
            terms.append((term * known).sum() / known.sum().clamp(min=1))
        return torch.stack(terms).mean()


def confidence(likings: Tensor, counted: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
    """w+ and w- [B] of likings [B, G] in the graphs that count [B, G] bool; `background` is the negatives' mean."""
    n = counted.sum(1)
    mean = (likings * counted).sum(1) / n
    squares = ((likings - mean.unsqueeze(1)).square() * counted).sum(1)
    variance = squares / (n - 1).clamp(min=1)
    largest = likings.masked_fill(~counted, 0.0).amax(1)
    sure = (mean * torch.exp(-variance).square()).clamp(0, 1)
    return sure, ((largest - background) * (mean < background)).clamp(0, 1)


def _behaviour_graph(inputs: ModelInputs, k: int) -> Csr:
    """Graph of ones [I, I]: items that share users, and each item itself."""
    found = partners(inputs.items, inputs.users, (inputs.n_items, inputs.n_users), k)
    kept = found.weights > _SHARED
    pairs = Csr.from_pairs(found.row_numbers()[kept], found.indices[kept], found.weights[kept], found.shape)
    return with_self_loops(binary(nearest(pairs, k)))
