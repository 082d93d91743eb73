"""One place chooses the device."""

import pytest
import torch
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.training.options import TrainingOptions


def test_the_cpu_is_always_there():
    assert resolve_device(TrainingOptions(device="cpu")) == torch.device("cpu")


def test_auto_takes_a_gpu_only_where_there_is_one():
    assert (resolve_device(TrainingOptions()).type == "cuda") == torch.cuda.is_available()


def test_an_absent_device_is_refused():
    absent = "cuda:99" if torch.cuda.is_available() else "cuda"
    with pytest.raises(InputError, match=f"'{absent}' but this machine has none"):
        resolve_device(TrainingOptions(device=absent))


def test_threads_are_set():
    resolve_device(TrainingOptions(threads=2, device="cpu"))
    assert torch.get_num_threads() == 2
    resolve_device(TrainingOptions(threads=1, device="cpu"))
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("wrong", [{"device": "gpu"}, {"epochs": 0}, {"learning_rate": 1e-3}])
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValidationError):
        TrainingOptions(**wrong)
