"""Graph convolutions of Torch Geometric by the name of their class: which there are, which work here, building them.

The library is loaded when the first one is asked for. It has its own random starts, drawn from torch's global state:
here they come from the model's generator, and the global state stays as it is.
"""

import difflib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Final

import torch
from torch import Tensor, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.graphs import normalise_symmetric, with_self_loops
from mrs_pipeline.functional.sparse import Csr

_WIDTHS: Final = frozenset({"in_channels", "out_channels", "channels", "hidden_channels"})
_NETWORKS: Final = {"GINConv": 1, "EdgeConv": 2}
"""Convolutions around a small network that is not theirs -> how many vectors that network reads side by side."""
_BASE: Final = "MessagePassing"

Setting = bool | int | float | str | list[str] | list[int] | None
"""What a constructor's argument may be, as YAML has it."""


@cache
def convolutions() -> Mapping[str, type[nn.Module]]:
    """Name -> class of all convolutions of the installed Torch Geometric.

    Raises:
        InputError: it is not installed.
    """
    try:
        from torch_geometric import nn as library
    except ImportError as error:
        raise InputError(
            "the model 'pyg' needs Torch Geometric, which is not installed: pip install 'mrs-pipeline[pyg]'"
        ) from error
    base: type[nn.Module] = library.MessagePassing
    return {
        name: found
        for name in dir(library)
        if inspect.isclass(found := getattr(library, name)) and issubclass(found, base) and name != _BASE
    }


def flaw(name: str, settings: Mapping[str, Setting], size: int) -> str | None:
    """Why a convolution cannot be used with vectors of `size`, with its remedy; None where it can.

    It is built and given a graph of eight nodes, twice: it must need nothing but node vectors and edges, keep their
    width and draw no numbers of its own, since a checkpoint that is resumed could not draw them again.
    """
    known = convolutions()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        return f"torch_geometric.nn has no convolution '{name}'; {meant}there are {', '.join(known)}"
    problem = _unknown_setting(known[name], settings) or _missing_argument(known[name], settings)
    if problem:
        return f"{name} {problem}"
    nodes = torch.linspace(-1, 1, 8 * size).view(8, size)
    around = torch.arange(8)
    edges = torch.stack([torch.cat([around, around]), torch.cat([(around + 1) % 8, (around + 3) % 8])])
    try:
        layer = build_convolution(name, settings, size, torch.Generator().manual_seed(0))
        first, second = layer(nodes, edges), layer(nodes, edges)
    except Exception as error:  # whatever the library says of an argument
        return f"{name} does not work with node vectors and edges alone: {type(error).__name__}: {error}"
    if not isinstance(first, Tensor) or first.shape != nodes.shape:
        shape = list(first.shape[1:]) if isinstance(first, Tensor) else type(first).__name__
        return (
            f"{name} gives vectors of {shape} where [{size}] are wanted; change its settings so that it does"
        )
    if not torch.equal(first, second):
        return f"{name} draws random numbers of its own in a step; set its dropout to 0, or choose another"
    return None


def build_convolution(
    name: str, settings: Mapping[str, Setting], size: int, generator: torch.Generator
) -> nn.Module:
    """A convolution from vectors of `size` to vectors of `size`, its weights drawn from `generator`."""
    kind = convolutions()[name]
    arguments: dict[str, object] = {key: size for key in _arguments(kind) if key in _WIDTHS}
    if "concat" in _arguments(kind):
        arguments["concat"] = False  # the mean over heads keeps the width
    if weighs_by_degree(name, settings):
        arguments["normalize"] = False  # the whole graph's degrees are in the weights
        arguments |= {"add_self_loops": False} if "add_self_loops" in _arguments(kind) else {}
    own = {
        key: value
        for key, value in settings.items()
        if not (key in arguments and key not in _WIDTHS | {"concat"})
    }
    with _drawing_from(generator):
        if name in _NETWORKS:
            first = nn.Linear(_NETWORKS[name] * size, size)
            arguments["nn"] = nn.Sequential(first, nn.ReLU(), nn.Linear(size, size))
        layer = kind(**{**arguments, **own})
    return layer.to(generator.device)


def weighs_by_degree(name: str, settings: Mapping[str, Setting]) -> bool:
    """Whether a convolution takes edge weights and would otherwise compute w / sqrt(d_i d_j) from what it is shown."""
    kind = convolutions()[name]
    takes = "edge_weight" in inspect.signature(kind.forward).parameters
    return takes and "normalize" in _arguments(kind) and settings.get("normalize", True) is True


def convolved_graph(name: str, settings: Mapping[str, Setting], graph: Csr) -> Csr:
    """The graph as a convolution wants it: with degrees in its weights and loops where it is one that weighs so."""
    if not weighs_by_degree(name, settings):
        return graph
    arguments = _arguments(convolutions()[name])
    if "add_self_loops" in arguments and settings.get("add_self_loops") is not False:
        for _ in range(2 if settings.get("improved") else 1):
            graph = with_self_loops(graph)
    return normalise_symmetric(graph)


def _arguments(kind: type[nn.Module]) -> Mapping[str, inspect.Parameter]:
    return {
        key: value for key, value in inspect.signature(kind).parameters.items() if value.kind not in (2, 4)
    }


def _unknown_setting(kind: type[nn.Module], settings: Mapping[str, Setting]) -> str | None:
    known = [*_arguments(kind), "aggr"]
    for key in settings:
        if key not in known or key in _WIDTHS | {"nn"}:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]}?" if near and near[0] != key else ""
            return f"has no setting '{key}'{meant} Its settings are {', '.join(sorted(set(known) - _WIDTHS))}"
    return None


def _missing_argument(kind: type[nn.Module], settings: Mapping[str, Setting]) -> str | None:
    filled = {*settings, *_WIDTHS, *(("nn",) if kind.__name__ in _NETWORKS else ())}
    missing = [
        key for key, value in _arguments(kind).items() if value.default is value.empty and key not in filled
    ]
    if missing:
        return f"also needs {', '.join(missing)}: write them under `settings:`, or choose another"
    wanted = [
        key
        for key, value in list(inspect.signature(kind.forward).parameters.items())[1:]
        if value.default is value.empty and value.kind not in (2, 4)
    ]
    if wanted != ["x", "edge_index"]:
        return f"wants {', '.join(wanted)}, where a user-item graph has x and edge_index; choose another"
    return None


@contextmanager
def _drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Torch's global draws on the CPU follow from `generator`; afterwards they go on as if nothing had been."""
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
