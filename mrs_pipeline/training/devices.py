"""The one place where a device is chosen and threads are set."""

import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.training.options import TrainingOptions


def resolve_device(options: TrainingOptions) -> torch.device:
    """The device that `options` ask for, after setting the threads; InputError if it is not there."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    device = torch.device(options.device)
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[device.type]:
        raise InputError(f"training.device is '{options.device}' but this machine has none; use auto or cpu")
    return device
