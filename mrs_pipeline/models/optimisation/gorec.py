"""GoRec. Bai et al., "GoRec: A Generative Cold-Start Recommendation Framework", MM 2023.

https://doi.org/10.1145/3581783.3612238

Equation: the first step (`pretraining.factors`) gives e_i and e_u. With f the item's content, h = tanh(BN(sum_m W_m
f^m + W e + b)); mu, log s^2 = linear(h); the prior's mu_p, log s_p^2 = sum_m linear(f^m); z = mu + s * noise; e^ =
W_3 (W_2 tanh(BN(Drop(sum_m W'_m f^m) + W' z))). loss = mean (e^ - e)^2 + kl_weight * KL(N(mu, s^2) | N(mu_p, s_p^2))
/ D + uniformity_weight * log mean_{i<j} exp(-2 |mu_i / |mu_i| - mu_j / |mu_j||^2). When ranking, an item's e is the
mean of the e_j of the warm items nearest to it, itself left out, and its z = mu. y_ui = <e_u, e^_i>.

Deviations: the divergence is that of two Gaussians (the published code takes `KLDivLoss` of two samples, which are no
distributions, and is not defined where one is negative). Its clusters come with the data set, and their means are
over cold items too; here the nearest warm items in the modalities' graphs stand for the cluster, and the mean of all
warm items where there are none. The e are divided by the root of their mean square, so that weights mean the same
whatever trained them. Dropout is on the projected content. The items of a step are the distinct positives of a batch
of pairs.

Complexity: O(B (F D + D^2) + B^2 D) a step.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.functional.distinct import mean_of
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.graphs import mix, normalise_rows
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import log_uniformity
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import NeighbourSetting, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_normal import BatchNormal
from mrs_pipeline.models.layers.batch_rows import once
from mrs_pipeline.models.layers.held_factors import HeldFactorsConfig, HeldFactorsRecommender
from mrs_pipeline.models.layers.item_graphs import item_graphs
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class GoRecConfig(HeldFactorsConfig):
    """Settings of GoRec."""

    search_space: ClassVar[SearchSpace] = {
        "kl_weight": (0.3, 1.0, 3.0, 10.0),
        "uniformity_weight": (0.0, 0.01, 0.1, 1.0),
        "dropout": (0.1, 0.3, 0.5),
    }

    kl_weight: float = Field(default=3.0, ge=0)
    """Weight of the divergence from the prior (the published code's has another meaning)."""
    uniformity_weight: float = Field(default=0.01, ge=0)
    """Weight of the uniformity of the means over the sphere."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of the decoder's projected content zeroed in training."""
    knn_k: int = Field(default=10, ge=2, le=200)
    """Neighbours whose vectors stand in for a cold item's, itself among them."""

    @property
    def item_neighbours(self) -> NeighbourSetting:
        """`knn_k`."""
        return NeighbourSetting("knn_k", self.knn_k)


class GoRec(HeldFactorsRecommender[GoRecConfig]):
    """A conditional variational auto-encoder of items' finished vectors; see the module."""

    spec = ModelSpec(
        name="gorec",
        title="GoRec",
        paper="Bai et al., MM 2023",
        url="https://doi.org/10.1145/3581783.3612238",
        cells=frozenset({Cell.TWO_STEP}),
        complexity="O(B (F D + D^2) + B^2 D)",
        features=FeatureUse.REQUIRED,
        item_graph=True,
        pretraining="factors",
    )
    Config = GoRecConfig

    def __init__(self, config: GoRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        width, size = self.item_factors.shape[1], config.embedding_size
        self._scale = self.item_factors[self.warm].square().mean().sqrt().clamp(min=1e-12)
        nearest = _warm_neighbours(inputs, config.knn_k, self.spec.name)
        means = torch.mm(nearest.tensor(), self.item_factors)
        lonely = (nearest.indptr.diff() == 0).unsqueeze(1)
        self._inputs = torch.where(lonely, self.item_factors[self.warm].mean(0), means) / self._scale
        content = with_unit_features(inputs)
        self.content = ModalityProjection(content, size, generator)
        self.factors = linear(width, size, generator, bias=False)
        self.normal = BatchNormal(size, generator)
        self.posterior = linear(size, 2 * size, generator)
        self.prior = ModalityProjection(content, 2 * size, generator)
        self.decoded_content = ModalityProjection(content, size, generator)
        self.decoded_code = linear(size, size, generator, bias=False)
        self.decoder_normal = BatchNormal(size, generator)
        self.inner = linear(size, size, generator)
        self.outer = linear(size, width, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Reconstruction of warm items' vectors, divergence from the prior, uniformity."""
        config = self.config
        items, rows = once(batch.positives)
        factors = take_rows(self.item_factors, items) / self._scale
        mean, log_variance = self._encode(items, factors, rows)
        # for each pair, so that the draws are the same wherever distinct items are not counted
        noise = factors.new_empty(len(batch.positives), mean.shape[1]).normal_(generator=self.generator)
        rebuilt = self._decode(items, mean + (log_variance / 2).exp() * noise[: len(items)], rows)
        prior_mean, prior_log_variance = self.prior.summed(items).chunk(2, dim=1)
        gap = log_variance.exp() + (mean - prior_mean).square()
        divergence = prior_log_variance - log_variance + gap * (-prior_log_variance).exp() - 1
        return {
            "reconstruction": mean_of((rebuilt - factors).square().mean(1), rows),
            "kl": config.kl_weight * mean_of(divergence.mean(1), rows) / 2,
            "uniformity": config.uniformity_weight * log_uniformity(normalize(mean, dim=1), rows),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users' held vectors; items' generated ones."""
        items = self.item_factors
        if len(self.made):
            mean, _ = self._encode(self.made, take_rows(self._inputs, self.made))
            items = items.index_copy(0, self.made, self._decode(self.made, mean) * self._scale)
        return self.user_factors, items

    def _encode(self, items: Tensor, factors: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Means and log-variances [n, D] of `items` [n] with vectors `factors` [n, D']; `rows` count, all if None."""
        hidden = self.normal(self.content.summed(items) + self.factors(factors), rows).tanh()
        mean, log_variance = self.posterior(hidden).chunk(2, dim=1)
        return mean, log_variance

    def _decode(self, items: Tensor, codes: Tensor, rows: Tensor | None = None) -> Tensor:
        """[n, D'] of `items` [n] and `codes` [n, D]; `rows` count, all if None."""
        share = self.config.dropout if self.training else 0.0
        content = dropout(self.decoded_content.summed(items), share, self.generator)
        hidden = self.decoder_normal(content + self.decoded_code(codes), rows).tanh()
        vectors: Tensor = self.outer(self.inner(hidden))
        return vectors


def _warm_neighbours(inputs: ModelInputs, k: int, model: str) -> Csr:
    """[I, I] rows that add up to one: the warm items nearest to each in any modality, itself left out."""
    graphs = list(item_graphs(inputs, k, model).values())
    ones = torch.ones(inputs.n_items, device=inputs.device)
    joint = mix(graphs, [ones] * len(graphs))
    rows, columns = joint.row_numbers(), joint.indices.long()
    kept = (rows != columns) & inputs.items_seen()[columns] & (joint.weights > 0)
    return normalise_rows(Csr.from_pairs(rows[kept], columns[kept], joint.weights[kept], joint.shape))
