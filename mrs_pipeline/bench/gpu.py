"""`mrs bench gpu`: every model checked on a device against the CPU; seconds beside the bare operation and the limit.

One prepared script for a machine that has little besides torch: NumPy, pydantic, safetensors, tqdm and psutil, and
SciPy for two models; `python -m mrs_pipeline.bench.gpu --minutes 5`. Rows are appended to a CSV file as they are found,
so that what was measured is kept when the time is up. What is measured is in `gpu_checks` and `gpu_times`.
"""

import argparse
import csv
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mrs_pipeline.bench.hardware import Limits, measured_limits
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.training.options import TrainingOptions

GPU_COLUMNS = (
    *(
        "measured",
        "card",
        "torch",
        "cuda",
        "part",
        "case",
        "seconds",
        "bare",
        "ratio",
        "limit",
        "share",
        "note",
    ),
)
"""`bare`: seconds of the operation alone; `ratio` = seconds / bare; `limit`: the least seconds that the device's
measured rates allow; `share` = limit / seconds."""


@dataclass(frozen=True)
class GpuRow:
    """One row.

    Attributes:
        part: checks, limits, epochs, evaluation, neighbours, extraction or kernels.
        case: what in it.
        seconds: it took; None for a check.
        bare: seconds of the bare operation.
        limit: seconds that the device's rates allow at the least.
        note: in words: what a check found, sizes.
    """

    part: str
    case: str
    seconds: float | None = None
    bare: float | None = None
    limit: float | None = None
    note: str = ""

    def cells(self) -> dict[str, str]:
        """By name of column; empty where nothing is known."""
        seconds = self.seconds
        numbers = {
            "seconds": seconds,
            "bare": self.bare,
            "ratio": seconds / self.bare if seconds and self.bare else None,
            "limit": self.limit,
            "share": self.limit / seconds if seconds and self.limit else None,
        }
        shown = {name: "" if value is None else f"{value:.4g}" for name, value in numbers.items()}
        return {"part": self.part, "case": self.case, "note": self.note, **shown}


@dataclass
class Bench:
    """A measurement in progress.

    Attributes:
        device: what is measured.
        ends: `time.monotonic()` after which nothing new is begun.
        limits: of the device.
    """

    device: torch.device
    ends: float
    limits: Limits = field(init=False)

    def __post_init__(self) -> None:
        self.limits = measured_limits(self.device)

    @property
    def small(self) -> bool:
        """Whether the device is a CPU, on which sizes are a fraction."""
        return self.device.type == "cpu"

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.ends


Part = Callable[[Bench], Iterator[GpuRow]]


def gpu_rows(device: torch.device, minutes: float) -> Iterator[GpuRow]:
    """All that is found within so many minutes, part by part; what there was no time for is named."""
    from mrs_pipeline.bench.gpu_checks import checks
    from mrs_pipeline.bench.gpu_times import epochs, evaluation, extraction, kernels, neighbours

    bench = Bench(device, time.monotonic() + 60 * minutes)
    limits = bench.limits
    yield GpuRow("limits", "copy", note=f"{limits.bytes_per_second / 1e9:.1f} GB/s read and written")
    yield GpuRow("limits", "float32 product", note=f"{limits.flops / 1e12:.3f} TFLOP/s")
    yield GpuRow("limits", "bfloat16 product", note=f"{limits.bfloat16_flops / 1e12:.3f} TFLOP/s")
    parts: Sequence[Part] = (checks, epochs, evaluation, neighbours, extraction, kernels)
    for part in parts:
        if bench.over:
            yield GpuRow(part.__name__, "", note="not begun: the time was up")
            continue
        yield from part(bench)


def append(path: Path, found: GpuRow, device: torch.device) -> None:
    """One row at the end of a CSV file, which gets its head where it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists() or not path.stat().st_size
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, GPU_COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow({**machine(device), **found.cells()})


def machine(device: torch.device) -> dict[str, str]:
    """When and on what a row was measured."""
    cuda = device.type == "cuda"
    card = torch.cuda.get_device_name(device) if cuda else f"cpu ({torch.get_num_threads()} threads)"
    return {
        "measured": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "card": card,
        "torch": f"{torch.__version__} python {platform.python_version()}",
        "cuda": (torch.version.cuda or "") if cuda else "",
    }


def run_on_device(device: str, minutes: float, path: Path) -> int:
    """Measures, prints and appends; the number of checks that failed."""
    place = resolve_device(TrainingOptions(device=device))
    failed = 0
    for found in gpu_rows(place, minutes):
        append(path, found, place)
        cells = found.cells()
        failed += found.note.startswith("FAILED")
        numbers = "  ".join(
            f"{name} {cells[name]}" for name in ("seconds", "bare", "ratio", "limit", "share") if cells[name]
        )
        sys.stdout.write(f"{found.part:11} {found.case:34} {numbers}  {found.note}\n")
        sys.stdout.flush()
    return failed


def gpu_script() -> None:
    """The command of a machine without the package's other dependencies."""
    parser = argparse.ArgumentParser(
        description="Check every model on a device and time it beside its limits."
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--into", type=Path, default=Path("bench_gpu.csv"))
    asked = parser.parse_args()
    sys.exit(bool(run_on_device(asked.device, asked.minutes, asked.into)))


if __name__ == "__main__":
    gpu_script()
