"""Encoders that can be trained with the recommender: pictures and tokens to vectors.

Two small ones from scratch, and any network of the `transformers` library that came with the raw content. None of
them draws random numbers or keeps statistics of batches, so an item's vector does not depend on the others. Which
of their parameters are trained is in `encoder_tuning`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn

from mrs_pipeline.models.inputs import RawTensors
from mrs_pipeline.models.layers.causal_attention import AttentionBlock, itself
from mrs_pipeline.types import PretrainedNetwork

_GROUPS = 4
"""Groups of channels that are normalised together."""


class ContentEncoder(nn.Module):
    """Raw rows [n, ...] as floats or token numbers to vectors [n, `width`]."""

    width: int

    def layers(self) -> Sequence[nn.Module]:
        """From the raw side to the vectors' side; whatever is trained alone is taken from the end."""
        raise NotImplementedError


def build_encoder(raw: RawTensors, width: int, generator: torch.Generator) -> ContentEncoder:
    """The encoder that the content brings, else a small one of its kind with vectors of `width`."""
    content = raw.content
    if content.network is not None:
        encoder = (
            PretrainedPictureEncoder(content.network, content.mean, content.std, generator)
            if raw.values.ndim == 4
            else PretrainedTokenEncoder(content.network, generator)
        )
        with torch.no_grad():  # architectures name their width in many ways; a blank item shows it
            encoder.width = encoder(torch.zeros_like(raw.values[:1], device=generator.device)).shape[1]
        return encoder
    if raw.values.ndim == 4:
        return PictureEncoder(width, content.mean, content.std, generator)
    return TokenEncoder(content.vocabulary, raw.values.shape[1], width, generator)


class PictureEncoder(ContentEncoder):
    """Three convolutions of stride two, each with group normalisation and ReLU; the mean over the picture."""

    def __init__(
        self, width: int, mean: Sequence[float], std: Sequence[float], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.width = width
        self._scale = _colour_scale(mean, std, generator.device)
        widths = (3, max(width // 4, _GROUPS), max(width // 2, _GROUPS), width)
        self.stages = nn.ModuleList(
            _stage(inputs, outputs, generator) for inputs, outputs in pairwise(widths)
        )

    def layers(self) -> Sequence[nn.Module]:
        """The convolutions."""
        return list(self.stages)

    def forward(self, pixels: Tensor) -> Tensor:
        """[n, width] of pixels [n, 3, H, W] in 0..255."""
        x = _normalised(pixels, self._scale)
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3))


class TokenEncoder(ContentEncoder):
    """Token and position vectors, two blocks of attention among a text's tokens; the mean over them."""

    def __init__(self, vocabulary: int, length: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.width = width
        self.tokens = nn.Parameter(_normal((vocabulary, width), generator))
        self.positions = nn.Parameter(_normal((length, width), generator))
        self.blocks = nn.ModuleList(AttentionBlock(width, 1, 1, generator) for _ in range(2))
        self.norm = nn.LayerNorm(width, device=generator.device)

    def layers(self) -> Sequence[nn.Module]:
        """The blocks."""
        return list(self.blocks)

    def forward(self, tokens: Tensor) -> Tensor:
        """[n, width] of token numbers [n, T], -1 after the end."""
        real = tokens >= 0
        x = self.tokens[tokens.clamp(min=0).long()] + self.positions
        own = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
        mask = (real.unsqueeze(1) | own).unsqueeze(1)
        for block in self.blocks:
            x = block(x, itself, mask, 0.0)
        return _mean_of_real(self.norm(x), real)


class _PretrainedEncoder(ContentEncoder):
    """A network of the `transformers` library; the mean of its last hidden states.

    It stays in evaluation mode while its weights are trained: dropout would draw from the global generator, and
    statistics of batches would make an item's vector depend on its neighbours.
    """

    def __init__(self, network: PretrainedNetwork, generator: torch.Generator) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel

        settings = dict(network.config)
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        with torch.random.fork_rng(devices=[]):  # what it draws is replaced by the weights below
            self.network: nn.Module = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
        state = {name: torch.from_numpy(values) for name, values in network.weights.items()}
        self.network.load_state_dict(state)
        self.network.to(generator.device).eval()
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_("pooler" not in name and "mask_token" not in name)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stays in evaluation mode."""
        return super().train(False)

    def layers(self) -> Sequence[nn.Module]:
        """The modules of the network's longest list, its blocks."""
        lists = [list(module) for module in self.network.modules() if isinstance(module, nn.ModuleList)]
        return max(lists, key=len)


class PretrainedTokenEncoder(_PretrainedEncoder):
    """A language model."""

    def forward(self, tokens: Tensor) -> Tensor:
        """[n, width] of token numbers [n, T], -1 after the end."""
        real = tokens >= 0
        ids = tokens.clamp(min=0).long()
        states = self.network(input_ids=ids, attention_mask=real.long()).last_hidden_state
        return _mean_of_real(states, real)


class PretrainedPictureEncoder(_PretrainedEncoder):
    """A vision model."""

    def __init__(
        self,
        network: PretrainedNetwork,
        mean: Sequence[float],
        std: Sequence[float],
        generator: torch.Generator,
    ) -> None:
        super().__init__(network, generator)
        self._scale = _colour_scale(mean, std, generator.device)

    def forward(self, pixels: Tensor) -> Tensor:
        """[n, width] of pixels [n, 3, H, W] in 0..255."""
        states: Tensor = self.network(pixel_values=_normalised(pixels, self._scale)).last_hidden_state
        return states.mean((2, 3)) if states.ndim == 4 else states.mean(1)


def _stage(inputs: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    device = generator.device
    # the normalisation takes any constant away again, so a bias would never get a gradient
    convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False, device=device)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu", generator=generator)
    groups = _GROUPS if outputs % _GROUPS == 0 else 1
    return nn.Sequential(convolution, nn.GroupNorm(groups, outputs, device=device), nn.ReLU())


def _colour_scale(mean: Sequence[float], std: Sequence[float], device: torch.device) -> tuple[Tensor, Tensor]:
    """What bytes are multiplied by, and what is added then: one pass over the pixels."""
    means, stds = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (mean, std))
    return 1 / (255 * stds), -means / stds


def _normalised(pixels: Tensor, scale: tuple[Tensor, Tensor]) -> Tensor:
    factor, shift = scale
    return torch.addcmul(shift, pixels.float(), factor)


def _mean_of_real(states: Tensor, real: Tensor) -> Tensor:
    weights = real.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def _normal(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    table = torch.empty(shape, device=generator.device)
    return nn.init.normal_(table, std=shape[1] ** -0.5, generator=generator)
