"""Energy of a training: read from counters as the kernel keeps them, never estimated."""

from pathlib import Path

import pytest
import torch

from mrs_pipeline.training.used_energy import EnergyMeter

CPU = torch.device("cpu")
RANGE = 262_143_328_850


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    """The file of one processor package's counter, in microjoules."""
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    (package / "name").write_text("package-0\n")
    (package / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (package / "energy_uj").write_text("1000000\n")
    return package / "energy_uj"


def test_what_the_counter_rose_by_is_summed(counter: Path) -> None:
    meter = EnergyMeter(CPU, counter.parents[1])
    counter.write_text("43000000")
    assert meter.joules() == pytest.approx(42, rel=1e-5)
    counter.write_text("53000000")
    assert meter.joules() == pytest.approx(52, rel=1e-5)


def test_a_counter_that_starts_again_loses_nothing(counter: Path) -> None:
    counter.write_text(f"{RANGE - 2_000_000}")
    meter = EnergyMeter(CPU, counter.parents[1])
    counter.write_text("3000000")
    assert meter.joules() == pytest.approx(5, rel=1e-4)


def test_without_a_counter_there_is_no_figure(tmp_path: Path) -> None:
    assert EnergyMeter(CPU, tmp_path).joules() is None
    assert EnergyMeter(CPU, tmp_path / "absent").joules() is None
