"""The energy that the processors and the GPU take while a model is trained, where the machine lets it be read.

Counters are read by codecarbon (extra `energy`): Intel's and AMD's RAPL for processor packages, NVML for an NVIDIA GPU.
They count the whole chip, programs beside this one included. Nothing is estimated from a processor's name: where there
is no counter, or it may not be read (RAPL is root's alone on many systems), there is no figure.
"""

import importlib.util
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from codecarbon.core.cpu import IntelRAPL
    from codecarbon.core.gpu_device import GPUDevice

RAPL: Final = Path("/sys/class/powercap/intel-rapl/subsystem")
_JOULES_IN_KWH: Final = 3.6e6


class EnergyMeter:
    """Counts from its making on; asked at least once an epoch, since counters start again after some minutes."""

    def __init__(self, device: torch.device, rapl: Path = RAPL) -> None:
        """Starts to count.

        Args:
            device: where the model is trained; a GPU's own counter is added to the processors'.
            rapl: where the kernel keeps the processors' counters.
        """
        self._processors = _processors(rapl)
        self._gpu = _gpu(device) if device.type == "cuda" else None
        self._readable = self._processors is not None and (device.type != "cuda" or self._gpu is not None)
        self._joules = 0.0
        self._asked = time.perf_counter()

    def joules(self) -> float | None:
        """Energy since the start in J; None where a counter that belongs to the sum cannot be read."""
        if not self._readable:
            return None
        from codecarbon.core.units import Time

        now = time.perf_counter()
        passed = Time.from_seconds(max(now - self._asked, 1e-9))
        self._asked = now
        taken = 0.0
        if self._processors is not None:
            details = self._processors.get_cpu_details(passed)
            taken += sum(value for name, value in details.items() if "Energy" in name)
        if self._gpu is not None:
            taken += self._gpu.delta(passed)["delta_energy_consumption"].kWh
        self._joules += taken * _JOULES_IN_KWH
        return self._joules


def _processors(folder: Path) -> "IntelRAPL | None":
    if not folder.exists() or importlib.util.find_spec("codecarbon") is None:
        return None
    from codecarbon.core.cpu import IntelRAPL, is_rapl_available

    logging.getLogger("codecarbon").setLevel(logging.WARNING)  # it announces each counter that it finds
    if not is_rapl_available(str(folder)):
        return None
    counters = IntelRAPL(str(folder))  # type: ignore[no-untyped-call]
    counters.start()
    return counters


def _gpu(device: torch.device) -> "GPUDevice | None":
    if importlib.util.find_spec("codecarbon") is None:
        return None
    from codecarbon.core.gpu import AllGPUDevices, is_gpu_details_available

    if not is_gpu_details_available():
        return None
    wanted = str(torch.cuda.get_device_properties(device).uuid)
    for found in AllGPUDevices().devices:
        if wanted in str(found.get_static_details()["uuid"]):
            found.start()
            return found
    return None
