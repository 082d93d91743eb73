"""A window's graph as one file of tensors, which `read_hetero_graph` gives to Torch Geometric."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.hetero_data import graph_tensors, hetero_data
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.stored.training_data import sources_of, training_data
from mrs_pipeline.tasks.places import exists
from mrs_pipeline.tasks.task import Stage


def write_hetero_graph(stage: Stage, file: Path) -> dict[str, list[int]]:
    """Write users, items, modalities and knowledge of a window's training rows; name -> shape of each tensor.

    No validation and no test row is in it.

    Raises:
        InputError: a part of it has not been made yet, or the file is there.
    """
    from safetensors.torch import save_file

    config = stage.config
    needs = replace(MODELS["pyg"].spec, knowledge=config.knowledge is not None)
    for node in sources_of(config, needs):
        if not exists(stage, node):
            raise InputError(
                f"{config.name} has no {node} at window {stage.window}; `mrs run {config.name} --window "
                f"{stage.window}` makes it"
            )
    if file.exists():
        raise InputError(f"{file} is there already; name another file")
    tensors = graph_tensors(ModelInputs.from_data(training_data(stage, needs)))
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)
    return {name: list(tensor.shape) for name, tensor in sorted(tensors.items())}


def read_hetero_graph(file: Path | str) -> Any:
    """The `torch_geometric.data.HeteroData` of a file of `write_hetero_graph`.

    Raises:
        InputError: Torch Geometric is not installed.
    """
    from safetensors.torch import load_file

    return hetero_data(load_file(file))
