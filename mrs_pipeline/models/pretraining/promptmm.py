"""PromptMM, first step: the teacher. Wei et al., "PromptMM: Multi-Modal Knowledge Distillation ...", WWW 2024.

In full: "PromptMM: Multi-Modal Knowledge Distillation for Recommendation with Prompt-Tuning".
https://arxiv.org/abs/2402.17188

Equation: R_u = D_u^-1/2 R, R_i = D_i^-1/2 R'. Hard tokens T_i = mean over the modalities of their leading principal
components, T_u = R_u T_i; prompts P_u = W_u T_u, P_i = W_i T_i. f^m = Drop(W_m (x^m + feature_prompt * n(P_i P_i'
x^m)) + b_m), u^m = R_u f^m, i^m = R_i u^m with n the scaling of rows to length one. e = E + prompt * n(P), `n_layers`
times users = R_u items, items = R_i users, a softmax over the last layer's dimensions, the mean of all layers, +
modal * sum_m n(u^m or i^m). loss = BPR(e) + prompt_weight * BPR(P) + modal_weight * sum_m BPR(u^m, i^m) + reg_weight
* half the squared norm of the batch's rows of e, u^m and i^m. The result: e of users and items, u^m and i^m of each
modality.

Deviations: features have rows of length one, so that content and prompt are of one scale; the components are those of
standardised features, and an item that lacks a modality has none of it. P_i (P_i' x) is computed from the right, so
that there is no [I, I]. The published weight of BPR(P) goes up to 1e10 on one data set. A tenth of the pairs is held
out and decides when to stop; the published code stops on test rows. Corrected: prompts are dropped out in training
alone.

Complexity: O(E D (L + M) + I M F D) a step.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.functional.sampling import NegativeSampler
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.half_graphs import HalfGraphs
from mrs_pipeline.models.layers.parameters import embedding, linear
from mrs_pipeline.models.layers.projection import with_unit_features
from mrs_pipeline.models.layers.standard_features import StandardFeatures, leading_components
from mrs_pipeline.models.pretraining.base import Pretrainer, PretrainerSpec, PretrainingConfig, vector_matrix
from mrs_pipeline.types import FeatureMatrix


class PromptMmTeacherConfig(PretrainingConfig):
    """Settings of PromptMM's teacher."""

    embedding_size: int = Field(default=32, ge=1, le=4096)
    """Width D of all vectors."""
    batch_size: int = Field(default=2048, ge=1)
    """Training pairs a step."""
    n_layers: int = Field(default=2, ge=1, le=8)
    """Propagation steps between users and items."""
    prompt: float = Field(default=0.1, ge=0)
    """Share of the prompts in the identifiers."""
    feature_prompt: float = Field(default=1.0, ge=0)
    """Share of the prompts in the features."""
    modal: float = Field(default=0.1, ge=0)
    """Share of the modalities' vectors in the final ones."""
    prompt_weight: float = Field(default=1.0, ge=0)
    """Weight of the ranking by prompts alone."""
    modal_weight: float = Field(default=0.1, ge=0)
    """Weight of the ranking by each modality alone."""
    dropout: float = Field(default=0.4, ge=0, lt=1)
    """Share of the projected features' entries zeroed in training."""
    reg_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class PromptMmPretrainer(Pretrainer[PromptMmTeacherConfig]):
    """A graph of users and items under prompts made from content; see the module."""

    spec = PretrainerSpec(
        name="promptmm",
        title="PromptMM",
        paper="Wei et al., WWW 2024",
        url="https://arxiv.org/abs/2402.17188",
        complexity="O(E D (L + M) + I M F D)",
    )
    Config = PromptMmTeacherConfig

    def __init__(
        self, config: PromptMmTeacherConfig, inputs: ModelInputs, generator: torch.Generator
    ) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._graphs = HalfGraphs.of(inputs)
        self._features = with_unit_features(inputs).features
        standard = StandardFeatures(inputs.features, inputs.present)
        tokens = [leading_components(standard, name, inputs.n_items, size) for name in inputs.features]
        self._item_tokens = torch.stack(tokens).mean(0)
        self._user_tokens = self._graphs.to_users @ self._item_tokens
        self.user_embedding: nn.Parameter = embedding(inputs.users_seen(), size, generator)
        self.item_embedding: nn.Parameter = embedding(inputs.items_seen(), size, generator)
        self.user_prompt = linear(size, size, generator, bias=False)
        self.item_prompt = linear(size, size, generator, bias=False)
        self.layers = nn.ModuleDict(
            {name: linear(rows.shape[1], size, generator) for name, rows in self._features.items()}
        )
        self._sampler = NegativeSampler.from_pairs(inputs.users, inputs.items, inputs.n_users)
        rankable = self._sampler.free[inputs.users] > 0
        self._users, self._items = inputs.users[rankable], inputs.items[rankable]
        self._seen = inputs.users_seen(), inputs.items_seen()

    def items(self) -> Tensor:
        """Numbers of the training pairs."""
        return torch.arange(len(self._users), device=self.generator.device)

    def loss(self, items: Tensor) -> dict[str, Tensor]:
        """Ranking by the final vectors, by prompts and by each modality, of the pairs whose numbers are `items`."""
        users, positives = take_rows(self._users, items), take_rows(self._items, items)
        batch = PairBatch(users, positives, self._sampler.draw(users, self.generator))
        config, prompts = self.config, self._prompts()
        modal = self._modal(prompts[1])
        final = pair_rows(*self._final(prompts, modal), batch)
        of_modalities = [pair_rows(*vectors, batch) for vectors in modal.values()]
        ranked = torch.stack([bpr_inner(*rows) for rows in of_modalities]).sum()
        norms = torch.stack([squared_norm(*rows) for rows in (final, *of_modalities)]).sum()
        return {
            "bpr": bpr_inner(*final),
            "prompt": config.prompt_weight * bpr_inner(*pair_rows(*prompts, batch)),
            "modal": config.modal_weight * ranked,
            "reg": config.reg_weight * norms,
        }

    def matrices(self) -> Mapping[str, FeatureMatrix]:
        """Final vectors of users and items, and those of each modality."""
        prompts = self._prompts()
        modal = self._modal(prompts[1])
        found: dict[str, FeatureMatrix] = {}
        for suffix, vectors in (
            ("", self._final(prompts, modal)),
            *((f"_{name}", modal[name]) for name in modal),
        ):
            for side, rows, seen in zip(("users", "items"), vectors, self._seen, strict=True):
                key = f"{self.spec.name}/{side}{suffix}"
                found[key] = vector_matrix(key, rows, seen)
        return found

    def _prompts(self) -> tuple[Tensor, Tensor]:
        """P of users [U, D] and of items [I, D]."""
        return self.user_prompt(self._user_tokens), self.item_prompt(self._item_tokens)

    def _modal(self, prompt: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Modality -> u^m [U, D] and i^m [I, D]."""
        share = self.config.dropout if self.training else 0.0
        found = {}
        for name, layer in self.layers.items():
            rows = self._features[name]
            prompted = rows + self.config.feature_prompt * normalize(prompt @ (prompt.T @ rows), dim=1)
            users = self._graphs.to_users @ dropout(layer(prompted), share, self.generator)
            found[name] = users, self._graphs.to_items @ users
        return found

    def _final(
        self, prompts: tuple[Tensor, Tensor], modal: Mapping[str, tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Final vectors e of users [U, D] and of items [I, D]."""
        config = self.config
        users = self.user_embedding + config.prompt * normalize(prompts[0], dim=1)
        items = self.item_embedding + config.prompt * normalize(prompts[1], dim=1)
        layers = [(users, items)]
        for number in range(config.n_layers):
            users = self._graphs.to_users @ items
            users = users.softmax(1) if number + 1 == config.n_layers else users
            items = self._graphs.to_items @ users
            items = items.softmax(1) if number + 1 == config.n_layers else items
            layers.append((users, items))
        users, items = (torch.stack(side).mean(0) for side in zip(*layers, strict=True))
        for of_users, of_items in modal.values():
            users = users + config.modal * normalize(of_users, dim=1)
            items = items + config.modal * normalize(of_items, dim=1)
        return users, items
