"""Which parameters of an encoder are trained: none, those of its last layers, low-rank adapters, or all."""

from typing import Literal

import torch
from torch import nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.layers.content_encoders import ContentEncoder

Tuning = Literal["full", "lora", "top", "frozen"]


def prepare_tuning(
    encoder: ContentEncoder, tuning: Tuning, *, top_layers: int, rank: int, generator: torch.Generator
) -> None:
    """Marks the parameters that are trained, in place.

    Args:
        encoder: with all of its parameters marked that can be.
        tuning: `full` leaves it so; `top` keeps the last layers; `lora` adds adapters and keeps only them
            (Hu et al., "LoRA", ICLR 2022); `frozen` keeps none.
        top_layers: how many layers `top` means.
        rank: of an adapter.
        generator: draws the adapters.
    """
    if tuning == "full":
        return
    kept = {
        parameter
        for layer in (list(encoder.layers())[-top_layers:] if tuning == "top" else ())
        for parameter in layer.parameters()
        if parameter.requires_grad
    }
    for parameter in encoder.parameters():
        parameter.requires_grad_(parameter in kept)
    if tuning == "lora":
        _adapt(encoder, rank, generator)


def _adapt(encoder: nn.Module, rank: int, generator: torch.Generator) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise InputError(
            "tuning: lora needs the package peft; install it with `pip install 'mrs-pipeline[lora]'` or choose "
            "tuning: top"
        ) from error
    targets = [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and "pooler" not in name
    ]
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets)
    with torch.random.fork_rng(devices=[]):  # what it draws is drawn again below
        inject_adapter_in_model(settings, encoder)
    for name, parameter in encoder.named_parameters():
        if "lora_A" in name:
            with torch.no_grad():
                nn.init.kaiming_uniform_(parameter, a=5**0.5, generator=generator)
    encoder.to(generator.device)
