"""Which settings decide a result, and which only say where and how the work is done.

A class of settings names the latter in `NEUTRAL`: threads, devices, batch sizes of encoders, intervals of checkpoints.
They are in no version and no fingerprint: nothing is made again because one of them changed. On a CPU the result has
the same bits, but for the number of threads: it decides in which order the math library adds, so that models with wide
products differ in the last digit of a float. Where `threads` is left open it is that of the machine. All that hold
settings of this kind are `training.options.TrainingOptions` and the encoders' options (docs/configuration.md).
"""

from typing import Any

from pydantic import BaseModel


def deciding(settings: BaseModel) -> dict[str, Any]:
    """The settings that decide a result, as JSON values by name; what they hold is treated alike."""
    neutral = set(getattr(settings, "NEUTRAL", ()))
    parts = {name: getattr(settings, name) for name in type(settings).model_fields if name not in neutral}
    nested = {name: deciding(part) for name, part in parts.items() if isinstance(part, BaseModel)}
    return {**settings.model_dump(mode="json", exclude=neutral), **nested}
