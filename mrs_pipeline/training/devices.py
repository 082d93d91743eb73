"""The one place where a device is chosen and threads are set."""

import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.training.options import TrainingOptions


def resolve_device(options: TrainingOptions) -> torch.device:
    """The device that `options` ask for, after setting the threads; InputError if it is not there."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.device == "auto":
        return accelerator() or torch.device("cpu")
    device = torch.device(options.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"training.device is '{options.device}' but this machine has none; use auto or cpu")
    return device


def accelerator() -> torch.device | None:
    """The GPU that this thread uses (`torch.cuda.set_device`), with its number; None where there is none."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else None
