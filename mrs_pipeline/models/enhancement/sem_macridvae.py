"""SEM-MacridVAE. Wang et al., "Disentangled Representation Learning for Recommendation", TPAMI 2023.

https://doi.org/10.1109/TPAMI.2022.3153112

Equation: MacridVAE whose items and cores start from content. The modalities' standardised columns side by side, their
leading D principal components, each row brought to mean 0 and deviation sqrt(2 / (I + D)): E at the start; the cores
start as the centres of K clusters of these rows; both are trained. C, encoder and p_uj as of MacridVAE
(`layers.macrid`), with z_k = (mu_k + e^(l_k / 2) * noise), scaled to length one. loss = mean over users of -sum_(j in
x_u) log(p_uj / sum_j p_uj) + kl_weight * mean over users and cores of KL(N(mu_k, e^l_k) | N(0, 1)).

Deviations: several modalities, in place of one picture's vector; a row that an item lacks is the mean of all, zero,
and an item without any content starts at random. Items without a training row are in no denominator and stay where
content puts them, so that they can be ranked. The components are padded with zeros where there are fewer than D. The
weight of the KL term is constant (published: a ramp up to .2). The published protocol holds out users. No weight
decay.

Complexity: O(B K I D + e K H) a step with e training rows and H hidden units, plus Adam's O(I (D + H)); memory O(B K
I).
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.clustering import kmeans
from mrs_pipeline.models.base import UserRowBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.macrid import MacridConfig, MacridRecommender
from mrs_pipeline.models.layers.parameters import xavier
from mrs_pipeline.models.layers.standard_features import StandardFeatures, leading_components
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class SemMacridVaeConfig(MacridConfig):
    """Settings of SEM-MacridVAE."""

    search_space: ClassVar[SearchSpace] = {
        "n_factors": (2, 4, 7, 10),
        "kl_weight": (0.01, 0.05, 0.2),
        "dropout": (0.2, 0.5, 0.8),
    }


class SemMacridVae(MacridRecommender[SemMacridVaeConfig]):
    """Kinds of items that start as clusters of their content; see the module."""

    spec = ModelSpec(
        name="sem_macridvae",
        title="SEM-MacridVAE",
        paper="Wang et al., TPAMI 2023",
        url="https://doi.org/10.1109/TPAMI.2022.3153112",
        cells=frozenset({Cell.DISENTANGLED, Cell.OTHER_FUSION}),
        complexity="O(B K I D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.USER_ROWS,
        histories=True,
    )
    Config = SemMacridVaeConfig

    def draw_items(self, inputs: ModelInputs) -> None:
        """Principal components of content, and the centres of their clusters."""
        start, known = _content_start(inputs, self.config.embedding_size)
        seen = inputs.items_seen()
        drawn = xavier((inputs.n_items, self.config.embedding_size), self.generator)
        start = torch.where(known.unsqueeze(1), start, drawn)
        self.item_embedding = nn.Parameter(start)
        centres = kmeans(normalize(start[known & seen], dim=1), self.config.n_factors)
        lacking = self.config.n_factors - len(centres)
        self.cores = nn.Parameter(torch.cat([centres, drawn[:lacking]]) if lacking else centres)
        self._counted = seen.unsqueeze(1)

    def item_vectors(self) -> Tensor:
        """The trained table."""
        return self.item_embedding

    def loss(self, batch: UserRowBatch) -> dict[str, Tensor]:
        """Likelihood of the users' items, and how far the codes are from the prior."""
        items, shares = self.placed_items()
        means, log_variances = self.encode(batch.rows, shares)
        noise = torch.empty_like(means).normal_(generator=self.generator)
        codes = normalize(means + (log_variances / 2).exp() * noise, dim=2)
        divergence = (log_variances.exp() + means.square() - log_variances - 1).sum(2) / 2
        return {
            "likelihood": self.nll(batch.rows, codes, items, shares * self._counted),
            "kl": self.config.kl_weight * divergence.mean(),
        }


def _content_start(inputs: ModelInputs, size: int) -> tuple[Tensor, Tensor]:
    """Rows [I, D] of mean 0 and deviation sqrt(2 / (I + D)), and who has any content [I]."""
    standard = StandardFeatures(inputs.features, inputs.present)
    everything = torch.arange(inputs.n_items, device=inputs.device)
    joined = torch.cat([standard.rows(name, everything) for name in inputs.features], dim=1)
    known = torch.stack(list(inputs.present.values())).any(0)
    rows = leading_components(StandardFeatures({"all": joined}, {"all": known}), "all", inputs.n_items, size)
    rows = rows - rows.mean(1, keepdim=True)
    spread = rows.square().mean(1, keepdim=True).sqrt()
    target = (2 / (inputs.n_items + size)) ** 0.5
    return target * rows / spread.clamp(min=1e-12), known & (spread.squeeze(1) > 0)
