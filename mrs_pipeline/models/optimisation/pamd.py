"""PAMD, second step. Han et al., "Modality Matches Modality", WWW 2022.

In full: "Modality Matches Modality: Pretraining Modality-Disentangled Item Representations for Recommendation".
https://doi.org/10.1145/3485447.3512079

Equation: of an item's pretrained parts r_p (common and specific of each modality, `pretraining.pamd`) a user makes
sum_p a_p A_p r_p with a = softmax_p <e_u, A_p r_p>; y_ui = <e_u, q_i> + sum_p a_p <e_u, A_p r_p>; loss =
-log sigmoid(y_ui) - log sigmoid(-y_uj) + reg_weight * embedding norm of the rows used.

Deviations: any number of modalities; a part that an item lacks gets no attention. Where the published code goes on
training the encoders with a smaller step, the parts stay as pretrained and each is turned by a map A_p of its own,
which starts as one rotation common to all parts, so that what is common or specific stays so at the start; maps
carry over to cold items. With a single modality there is no common part and one specific part gets all the attention.
Identifiers q_i of items never seen in training are zero. The published evaluation ranks 1,000 sampled items.

Complexity: O(B M D^2) a step, plus Adam's O((U + I) D); O(M I D) a user to score, which does not factorise.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import embedding_norm
from mrs_pipeline.models.base import PairBatch, Scorer
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class PamdConfig(GradientConfig):
    """Settings of PAMD's fine-tuning."""

    search_space: ClassVar[SearchSpace] = {"reg_weight": (1e-1, 1e-2, 1e-3, 1e-4)}

    reg_weight: float = Field(default=1e-2, ge=0)
    """Weight of the embedding norm."""


class Pamd(IdentifierRecommender[PamdConfig]):
    """Attention of a user over the pretrained parts of an item; see the module."""

    spec = ModelSpec(
        name="pamd",
        title="PAMD",
        paper="Han et al., WWW 2022",
        url="https://doi.org/10.1145/3485447.3512079",
        cells=frozenset({Cell.TWO_STEP, Cell.DISENTANGLED, Cell.FINE_ATTENTION}),
        complexity="O(B M D^2)",
        features=FeatureUse.REQUIRED,
        pretraining="pamd",
    )
    Config = PamdConfig

    def __init__(self, config: PamdConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._keys = inputs.pretrained_by("pamd")
        self._parts, self._present = inputs.pretrained, inputs.pretrained_present
        lacking = torch.stack([~self._present[key] for key in self._keys])
        self._lacking = lacking if bool(lacking.any()) else None
        width = self._parts[self._keys[0]].shape[1]
        rotation = torch.empty(width, size, device=generator.device)
        nn.init.orthogonal_(rotation, generator=generator)
        self.maps = nn.ParameterDict({key: nn.Parameter(rotation.clone()) for key in self._keys})

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Binary cross entropy of positives and negatives, and the norm of the rows used."""
        users = take_rows(self.user_embedding, batch.users)
        both = torch.cat([batch.positives, batch.negatives])
        identifiers, twice = take_rows(self.item_embedding, both), users.repeat(2, 1)
        scores = (twice * identifiers).sum(1) + self._content_scores(twice, both)
        positives, negatives = scores.chunk(2)
        return {
            "bce": -logsigmoid(positives).mean() - logsigmoid(-negatives).mean(),
            "reg": self.config.reg_weight * embedding_norm(users, *identifiers.chunk(2)),
        }

    def scorer(self) -> Scorer:
        """Attention over the parts of all items; the parts are turned once."""
        identifiers = self.item_embedding.T.contiguous()
        everyone = torch.arange(self.n_items, device=self.device)
        columns = [part.T.contiguous() for part in self._adapted(everyone)]
        lacking = None if self._lacking is None else self._lacking.unsqueeze(1)

        def score(users: Tensor) -> Tensor:
            rows = take_rows(self.user_embedding, users)
            products = torch.stack([rows @ part for part in columns])
            return rows @ identifiers + _attended(products, lacking)

        return score

    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """What all modalities have in common, and what is specific to each, as the recommender uses them."""
        adapted = self._adapted(torch.arange(self.n_items, device=self.device))
        kinds: dict[str, list[Tensor]] = {}
        for key, part in zip(self._keys, adapted, strict=True):
            kinds.setdefault(key.partition("/")[2].partition("_")[0], []).append(part)
        return {kind: (self.user_embedding, torch.stack(found).mean(0)) for kind, found in kinds.items()}

    def _adapted(self, items: Tensor) -> list[Tensor]:
        """[B, D] of `items` [B] for each part."""
        return [take_rows(self._parts[key], items) @ self.maps[key] for key in self._keys]

    def _content_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """[B] what the parts of `items` [B] add to the scores of the `users` [B, D] beside them."""
        # popular items occur many times in a batch: the parts of each are turned once
        each, place = distinct(items)
        products = torch.stack([(users * take_rows(part, place)).sum(1) for part in self._adapted(each)])
        return _attended(products, None if self._lacking is None else self._lacking[:, items])


def _attended(products: Tensor, lacking: Tensor | None) -> Tensor:
    """sum_p softmax_p(products) products over the first dimension, without the parts that are lacking; 0 if all are.

    The product of a lacking part is 0, since its rows are.
    """
    # a finite number, so that an item without any part gives no NaN
    logits = products if lacking is None else products.masked_fill(lacking, torch.finfo(products.dtype).min)
    return (logits.softmax(0) * products).sum(0)
