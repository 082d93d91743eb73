"""PAMD, first step. Han et al., "Modality Matches Modality", WWW 2022.

In full: "Modality Matches Modality: Pretraining Modality-Disentangled Item Representations for Recommendation".
https://doi.org/10.1145/3485447.3512079

Equation: z_m = unit(W_m x~^m), x~ the features with mean 0 and deviation 1 a column; common part c_m = P_m z_m,
specific part s_m = z_m - c_m. With a part decoded into another modality's features, f_mn(p) = cos(D_mn p, x~^n) /
tau, each pair of modalities gives
align |unit(c_m) - unit(c_n)|^2, orthogonality <s_m, s_n>^2, and for both directions
order -log softmax_c(f(c), f(z), |f(s)|) - log softmax_z(f(z), |f(s)|):
the common part predicts more of the other modality than the whole, and the whole more than the specific part.
The result is `pamd/common_<m>` and `pamd/specific_<m>` for each modality m.

With a single modality nothing can be common: there is no common part, s = z, and the only loss is that of
decoding z into the modality's own features, 1 - cos(D z, x~).

Deviations: any number of modalities (means over their pairs; an item counts for the pairs both of whose
modalities it has). Vectors z, and the parts where they are compared, have unit length: decoders are judged by the
cosine, which knows no scale, so that the published mean squared error of c falls for ever by shrinking c. Features
are standardised and decoders have no bias, since cosines of uncentred features are won by decoding their mean. The
public code adds up the similarity of the specific part over the whole batch before it takes the exponential; here
every item is compared with itself; and it rewards specific parts that tell the reverse of the other modality, which
is predicting it all the same, hence the absolute value. A modality that an item lacks gives it neither part (masked).

What this can and cannot do, seen on planted factors: common parts hold the shared factor and next to nothing of a
modality's own. Specific parts do not tell the decoders of the other modality, yet a copy of the shared factor in
directions that no decoder reads costs nothing, and stays in them.

Complexity: O(B M^2 D F) a step; memory O(M^2 D F).
"""

from collections.abc import Mapping
from itertools import combinations, permutations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, log_softmax, normalize

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.standard_features import StandardFeatures
from mrs_pipeline.models.pretraining.base import Pretrainer, PretrainerSpec, PretrainingConfig, vector_matrix
from mrs_pipeline.types import FeatureMatrix


class PamdPretrainingConfig(PretrainingConfig):
    """Settings of PAMD's pretraining."""

    temperature: float = Field(default=0.5, gt=0)
    """tau: divides the cosines whose order is learnt."""


class PamdPretrainer(Pretrainer[PamdPretrainingConfig]):
    """Encoders whose outputs fall into a common and a specific part; see the module."""

    spec = PretrainerSpec(
        name="pamd",
        title="PAMD",
        paper="Han et al., WWW 2022",
        url="https://doi.org/10.1145/3485447.3512079",
        complexity="O(B M^2 D F)",
    )
    Config = PamdPretrainingConfig

    def __init__(
        self, config: PamdPretrainingConfig, inputs: ModelInputs, generator: torch.Generator
    ) -> None:
        super().__init__(config, inputs, generator)
        self._features = StandardFeatures(inputs.features, inputs.present)
        self._present = inputs.present
        widths = {modality: values.shape[1] for modality, values in inputs.features.items()}
        size = config.embedding_size
        self.encoders = nn.ModuleDict(
            {modality: linear(width, size, generator, bias=False) for modality, width in widths.items()}
        )
        self.common = nn.ModuleDict()
        self.decoders = nn.ModuleDict()
        if len(widths) > 1:
            self.common.update({modality: linear(size, size, generator, bias=False) for modality in widths})
        for source, target in permutations(widths, 2) if len(widths) > 1 else [tuple(widths) * 2]:
            self.decoders[f"{source}->{target}"] = linear(size, widths[target], generator, bias=False)

    def items(self) -> Tensor:
        """Items with at least one modality."""
        return torch.stack(list(self._present.values())).any(0).nonzero().flatten()

    def loss(self, items: Tensor) -> dict[str, Tensor]:
        """Alignment, orthogonality and order; of a single modality its reconstruction."""
        wholes = self._wholes(items)
        present = {modality: take_rows(mask, items) for modality, mask in self._present.items()}
        if len(wholes) == 1:
            ((modality, whole),) = wholes.items()
            return {
                "reconstruction": _mean(
                    1 - self._predicted(modality, modality, whole, items), present[modality]
                )
            }
        common = {modality: self.common[modality](whole) for modality, whole in wholes.items()}
        specific = {modality: whole - common[modality] for modality, whole in wholes.items()}
        align, orthogonality, order = [], [], []
        for one, other in combinations(wholes, 2):
            both = present[one] & present[other]
            gaps = normalize(common[one], dim=1) - normalize(common[other], dim=1)
            align.append(_mean(gaps.square().sum(1), both))
            orthogonality.append(_mean((specific[one] * specific[other]).sum(1).square(), both))
        for source, target in permutations(wholes, 2):
            parts = (common[source], wholes[source], specific[source])
            both = present[source] & present[target]
            order.append(_mean(self._disorder(source, target, parts, items), both))
        return {
            "align": torch.stack(align).mean(),
            "orthogonality": torch.stack(orthogonality).mean(),
            "order": torch.stack(order).mean(),
        }

    def matrices(self) -> Mapping[str, FeatureMatrix]:
        """The parts of every item, block by block of items."""
        rows = torch.arange(self.n_items, device=self.generator.device)
        blocks = [self._wholes(block) for block in torch.split(rows, 8192)]
        found: dict[str, FeatureMatrix] = {}
        for modality, present in self._present.items():
            whole = torch.cat([block[modality] for block in blocks])
            parts = {"specific": whole}
            if modality in self.common:
                common = self.common[modality](whole)
                parts = {"common": common, "specific": whole - common}
            for part, vectors in parts.items():
                key = f"{self.spec.name}/{part}_{modality}"
                found[key] = vector_matrix(key, vectors, present)
        return found

    def _wholes(self, items: Tensor) -> dict[str, Tensor]:
        return {
            modality: normalize(encoder(self._features.rows(modality, items)), dim=1)
            for modality, encoder in self.encoders.items()
        }

    def _predicted(self, source: str, target: str, part: Tensor, items: Tensor) -> Tensor:
        """[B] cosine of the target's features and what a part [B, D] of the source predicts of them."""
        decoded = self.decoders[f"{source}->{target}"](part)
        return cosine_similarity(decoded, self._features.rows(target, items))

    def _disorder(self, source: str, target: str, parts: tuple[Tensor, ...], items: Tensor) -> Tensor:
        """[B] how far the parts are from predicting the target modality in the order in which they are given."""
        common, whole, specific = (self._predicted(source, target, part, items) for part in parts)
        # the reverse of what is shared predicts as much of it
        cosines = torch.stack([common, whole, specific.abs()], dim=1) / self.config.temperature
        return -log_softmax(cosines, dim=1)[:, 0] - log_softmax(cosines[:, 1:], dim=1)[:, 0]


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of `values` [B] over the rows that are counted [B]; 0 if none is."""
    return torch.where(counted, values, 0.0).sum() / counted.sum().clamp(min=1)
