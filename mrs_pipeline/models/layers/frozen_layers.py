"""What every layer of a frozen encoder says of an item, computed once."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.inputs import ModelInputs, RawTensors
from mrs_pipeline.models.layers.content_encoders import ContentEncoder, build_encoder


class FrozenLayers(nn.Module):
    """The mean over places or words of the states after some layers of each modality's encoder.

    No weight of an encoder is a parameter: they are buffers, so that they are saved with the model, and nothing is kept
    for a backward pass. The states of all items are computed when first asked for and stay in memory: the widths of the
    layers together, in float32, an item.
    """

    def __init__(
        self, inputs: ModelInputs, width: int, most: int, at_once: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self._raw, self._at_once = inputs.raw, at_once
        self._n_items = inputs.n_items
        # found here: in a step the host would have to wait for its GPU
        self._having = {name: torch.nonzero(raw.present).flatten() for name, raw in inputs.raw.items()}
        self.encoders = nn.ModuleDict()
        for modality, raw in inputs.raw.items():
            self.encoders[modality] = _with_buffers(build_encoder(raw, width, generator))
        self.count = min(most, *(len(self._encoder(name).layers()) for name in self.encoders))
        self.widths: dict[str, list[int]] = {}
        for modality, raw in inputs.raw.items():
            blank = torch.zeros_like(raw.values[:1], device=generator.device)
            self.widths[modality] = [state.shape[1] for state in self._states(modality, blank)]
        self._kept: dict[str, list[Tensor]] = {}
        # other weights, other states
        self.register_load_state_dict_post_hook(lambda layers, _: layers._kept.clear())  # type: ignore[no-untyped-call]

    def rows(self, modality: str, items: Tensor) -> tuple[list[Tensor], Tensor]:
        """States [n, C_l] of `items` [n] after each of `count` layers, zero where missing, and who has any [n]."""
        if modality not in self._kept:
            self._kept[modality] = self._of_all(modality, self._raw[modality])
        return [take_rows(states, items) for states in self._kept[modality]], take_rows(
            self._raw[modality].present, items
        )

    def _of_all(self, modality: str, raw: RawTensors) -> list[Tensor]:
        having = self._having[modality]
        found: list[list[Tensor]] = [[] for _ in range(self.count)]
        for part in raw.parts(having, self._at_once):
            for states, block in zip(found, self._states(modality, part()), strict=True):
                states.append(block)
        kept = []
        for width, blocks in zip(self.widths[modality], found, strict=True):
            table = torch.zeros(self._n_items, width, device=raw.present.device)
            kept.append(table.index_copy_(0, having, torch.cat(blocks).to(table.dtype)) if blocks else table)
        return kept

    def _encoder(self, modality: str) -> ContentEncoder:
        encoder = self.encoders[modality]
        assert isinstance(encoder, ContentEncoder)
        return encoder

    def _states(self, modality: str, rows: Tensor) -> list[Tensor]:
        """[n, C_l] after layers that are evenly spread, the last among them."""
        encoder = self._encoder(modality)
        layers = encoder.layers()
        chosen = [layers[(place + 1) * len(layers) // self.count - 1] for place in range(self.count)]
        real = rows >= 0 if rows.ndim == 2 else None
        seen: list[Tensor] = []
        hooks = [layer.register_forward_hook(_keeping(seen, real)) for layer in chosen]
        with torch.no_grad():
            encoder(rows)
        for hook in hooks:
            hook.remove()
        return seen


def _keeping(
    seen: list[Tensor], real: Tensor | None
) -> Callable[[nn.Module, object, Tensor | Sequence[Tensor]], None]:
    """A hook that keeps a layer's mean over places, or over the words that are `real` [n, T]."""

    def keep(_: nn.Module, __: object, found: Tensor | Sequence[Tensor]) -> None:
        state = found if isinstance(found, Tensor) else found[0]
        if state.ndim == 4:
            seen.append(state.mean((2, 3)))
        elif real is None:
            seen.append(state.mean(1))
        else:
            seen.append((state * real.unsqueeze(2)).sum(1) / real.sum(1, keepdim=True).clamp(min=1))

    return keep


def _with_buffers(encoder: ContentEncoder) -> ContentEncoder:
    """The encoder with its parameters as buffers: saved, and neither trained nor counted."""
    for module in encoder.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return encoder
