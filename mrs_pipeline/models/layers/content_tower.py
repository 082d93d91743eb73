"""Item vectors from raw content by encoders in the loop, with bounded memory.

The encoders are `content_encoders`, what of them is trained `encoder_tuning`; losses belong to the models.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.base import ParameterGroup
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs, RawTensors
from mrs_pipeline.models.layers.content_encoders import build_encoder
from mrs_pipeline.models.layers.encoder_tuning import Tuning, prepare_tuning
from mrs_pipeline.models.layers.parameters import linear


class ContentConfig(GradientConfig):
    """Settings of models with encoders in the loop."""

    search_space: ClassVar[SearchSpace] = {
        "tuning": ("full", "top", "frozen"),
        "encoder_learning_rate": (1e-3, 1e-4, 1e-5),
    }

    tuning: Tuning = "full"
    """What of an encoder is trained: all (`full`), low-rank adapters (`lora`), its last layers (`top`), or nothing
    (`frozen`, which is the two-step scheme: content is then encoded once)."""
    encoder_learning_rate: float = Field(default=1e-4, gt=0, le=1)
    """Adam's step size for what is trained of the encoders."""
    encoder_width: int = Field(default=64, ge=8, le=2048)
    """Width of the vectors of an encoder from scratch; pretrained ones have their own."""
    top_layers: int = Field(default=1, ge=1, le=100)
    """Layers that `top` trains."""
    lora_rank: int = Field(default=8, ge=1, le=512)
    """Rank of the adapters of `lora`."""
    items_at_once: int = Field(default=256, ge=1, le=65_536)
    """Items whose activations are in memory together. Where a step has more they are encoded in turn, and once more
    in the backward pass: a third more work, memory as for this many."""


class ContentTower(nn.Module):
    """Raw content of items to vectors: v_i = mean over the modalities i has of W_m encoder_m(raw_i^m).

    What is not present is never looked at. An item without any content has the zero vector.
    """

    def __init__(self, config: ContentConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__()
        self._config, self._raw = config, inputs.raw
        self._n_items, self._device = inputs.n_items, inputs.device
        # an item without the modality has this one's content encoded where the host does not know how many there are
        self._stand_in = {name: torch.nonzero(raw.present)[:1, 0] for name, raw in inputs.raw.items()}
        self.encoders = nn.ModuleDict()
        self.projections = nn.ModuleDict()
        for modality, raw in inputs.raw.items():
            encoder = build_encoder(raw, config.encoder_width, generator)
            prepare_tuning(
                encoder,
                config.tuning,
                top_layers=config.top_layers,
                rank=config.lora_rank,
                generator=generator,
            )
            self.encoders[modality] = encoder
            self.projections[modality] = linear(encoder.width, config.embedding_size, generator)
        self._encoded: dict[str, Tensor] = {}
        # other weights, other vectors
        self.register_load_state_dict_post_hook(lambda tower, _: tower._encoded.clear())  # type: ignore[no-untyped-call]

    def forward(self, items: Tensor | None = None) -> Tensor:
        """[n, D] of `items` [n] int64, or of all."""
        items = torch.arange(self._n_items, device=self._device) if items is None else items
        total = torch.zeros(len(items), self._config.embedding_size, device=self._device)
        count = torch.zeros(len(items), 1, device=self._device)
        for modality, raw in self._raw.items():
            present = take_rows(raw.present, items)
            having = marked(present)
            if len(self._stand_in[modality]) and not having.none:
                shown = torch.where(present, items, self._stand_in[modality])
                vectors = self.projections[modality](self._vectors(modality, having.take(shown)))
                if having.rows is not None:
                    total = total.index_add(0, having.rows, vectors.to(total.dtype))
                else:
                    total = total + vectors * present.unsqueeze(1)
            count = count + present.unsqueeze(1)
        return total / count.clamp(min=1)

    def groups(self, model: nn.Module) -> list[ParameterGroup]:
        """The trained parameters of `model` for the optimiser, those of the encoders with their own step size."""
        mine = [parameter for parameter in self.encoders.parameters() if parameter.requires_grad]
        known = set(mine)
        others = [each for each in model.parameters() if each.requires_grad and each not in known]
        groups: list[ParameterGroup] = [{"params": others}]
        if mine:
            groups.append({"params": mine, "lr": self._config.encoder_learning_rate})
        return groups

    def _vectors(self, modality: str, items: Tensor) -> Tensor:
        """The encoder's vectors [n, W] of items that have the modality."""
        raw = self._raw[modality]
        if self._config.tuning != "frozen":
            return self._encode(modality, raw, items)
        if modality not in self._encoded:
            self._encoded[modality] = self._encode_all(modality, raw)
        return take_rows(self._encoded[modality], items)

    def _encode_all(self, modality: str, raw: RawTensors) -> Tensor:
        """[I, W]; zero where the modality is missing."""
        rows = torch.nonzero(raw.present).squeeze(1)
        with torch.no_grad():
            found = self._encode(modality, raw, rows)
        return found.new_zeros(self._n_items, found.shape[1]).index_copy_(0, rows, found)

    def _encode(self, modality: str, raw: RawTensors, items: Tensor) -> Tensor:
        encoder = self.encoders[modality]
        chunks = torch.split(items, self._config.items_at_once)
        if len(chunks) == 1 or not torch.is_grad_enabled():
            return torch.cat([encoder(take_rows(raw.values, chunk)) for chunk in chunks])
        return torch.cat([_recomputed(encoder, raw.values, chunk) for chunk in chunks])


def _recomputed(encoder: nn.Module, values: Tensor, items: Tensor) -> Tensor:
    """The encoder's vectors, whose activations are not kept but made again in the backward pass."""
    # encoders draw nothing, so there is no random state to keep
    vectors: Tensor = checkpoint(
        lambda rows: encoder(take_rows(values, rows)), items, use_reentrant=False, preserve_rng_state=False
    )
    return vectors
