"""What each model computes on the toy market, kept in golden_values.json so that no number changes unnoticed.

Kept are scores, loss terms and gradients of one step from a fixed point, and the scores of two models after three
epochs, all in float64. Trained float32 scores would not do: instruction sets round differently, and five epochs of
Adam make of a difference in the last digit one in the fourth.

Every value is the same on every processor up to `TOLERANCE`:

- Sums in float64 differ between instruction sets by about 1e-15 of their size. One step multiplies a difference by
  less than a hundred: `test_golden` changes each input by 1e-10 of itself and sees that no value leaves the tolerance.
- The one input that the pipeline computes in float32, the cosines of the kNN graphs, is computed here in float64.
- Uniform numbers and permutations come from the bits of the Mersenne Twister alone. Normal ones are drawn in float64,
  where torch has one algorithm. Torch draws Bernoulli and exponential numbers by other algorithms on Intel's
  processors; here both are made from uniform ones.

A change of a formula changes some value far more; `test_golden` plants such changes.

To write the file again, where a change is meant:

    OMP_NUM_THREADS=1 python -m mrs_pipeline_tests.models.golden

It prints each model whose values changed, and which: scores, loss terms, the starts of parameters, their gradients.
Read that list before you commit: models that the change was not about must not be in it. Say in the
changelog under [Metric] what changed and why.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from mrs_pipeline.functional.graphs import with_item_graphs
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import MODELS, model_class
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.types import FeatureMatrix, TrainingData
from mrs_pipeline_tests.cpu_draws import drawn_on_the_cpu
from mrs_pipeline_tests.toy import (
    first_batch,
    prepared,
    small_config,
    small_pretraining,
    toy_market,
    trained,
)

FILE = Path(__file__).with_name("golden_values.json")
TOLERANCE = 1e-7
"""Largest difference, as a share of the value's scale; a step from a float64 input of 1e-15 stays far below it."""
USERS = torch.tensor([0, 7, 33, 41])
ITEMS = torch.tensor([1, 20, 38])
TRAINED = ("bpr_mf", "sasrec")
"""Models whose scores after three epochs are kept, for the training loop: one of pairs, one of sequences."""
VARIANTS: Mapping[str, tuple[Mapping[str, object], ...]] = {
    "bm3": ({"train_features": False},),
    "bpr_mf": ({"item_bias": True},),
    "dropoutnet": ({"backbone": "bpr_mf"},),
    "fusion": (
        *({"fusion": fusion} for fusion in ("concat", "sum", "product", "gate")),
        {"backbone": "bpr_mf", "contrastive_weight": 0.1, "disentangled_weight": 0.1},
    ),
    "grcn": ({"pruning": "soft"},),
    "item_knn": (
        {"source": "content"},
        *({"similarity": similarity} for similarity in ("cosine", "asymmetric", "jaccard")),
        {"neighbourhood": "target"},
    ),
    "mkgat": ({"combine": "concat"},),
    "mmgcn": ({"combination": "sum"},),
    "nova": ({"fusion": "concat"}, {"fusion": "add"}),
    "pyg": (
        {"convolution": "SAGEConv"},
        {"convolution": "TransformerConv", "combine": "last", "activation": "relu"},
    ),
    "sasrec": ({"n_negatives": 8},),
    "sgl": ({"augmentation": "node"},),
    "simgcl": ({"include_layer_0": True},),
    "slim": ({"content_weight": 10.0},),
}
"""Settings beside the defaults under which other formulas run."""
DRAWN_BY_SIZE = frozenset({"bm3", "dmrl", "kgat", "mm_rec", "smore"})
"""Models that draw in a step for each distinct row: on a GPU there are rows that only fill up, so other numbers are
drawn. There the starts and the scores are compared; steps without draws are in `test_host_syncs`."""
SHOWN = 5
"""Changes of a model that are printed."""

Values = dict[str, list[float]]
"""What is compared -> its numbers, the last of which is their scale."""


@contextmanager
def portable() -> Iterator[None]:
    """Float64 and draws that are the same on every processor, on one thread."""

    def bernoulli(self: Tensor, p: float, *, generator: torch.Generator) -> Tensor:
        return self.copy_(torch.rand(self.shape, generator=generator) < p)

    def exponential(self: Tensor, *, generator: torch.Generator) -> Tensor:
        return self.copy_(-torch.log1p(-torch.rand(self.shape, generator=generator)))

    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    with ExitStack() as stack:
        stack.callback(torch.set_default_dtype, dtype)
        stack.callback(torch.set_num_threads, threads)
        for name, function in (
            ("bernoulli_", bernoulli),
            ("exponential_", exponential),
            ("float", Tensor.double),
        ):
            stack.enter_context(mock.patch.object(Tensor, name, function))
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64)
        yield


def exact(data: TrainingData) -> TrainingData:
    """Cosines of the kNN graphs in float64; vectors of a first step are drawn, not pretrained."""
    rng, graphs = np.random.default_rng(5), {}
    for name, graph in data.item_graphs.items():
        values = data.features[name].values.astype(np.float64)
        pairs = np.repeat(np.arange(len(values)), np.diff(graph.indptr)), graph.indices
        one, other = (values[places] for places in pairs)
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        graphs[name] = replace(graph, weights=(one * other).sum(1) / lengths)
    vectors = {
        key: FeatureMatrix(rng.uniform(-1, 1, matrix.values.shape), matrix.present, key)
        for key, matrix in data.pretrained.items()
    }
    return replace(data, item_graphs=graphs, pretrained=vectors)


def widened(value: Any, noise: float = 0.0) -> Any:
    """`value` with every tensor of real numbers as float64, each element changed by up to `noise` of itself."""
    if isinstance(value, Tensor) and value.is_floating_point():
        generator = torch.Generator().manual_seed(value.numel())
        factor = 1 + noise * (2 * torch.rand(value.shape, generator=generator, dtype=torch.float64) - 1)
        return value.double() * factor.to(value.device)
    if isinstance(value, Mapping):
        return {key: widened(entry, noise) for key, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: widened(getattr(value, field.name), noise) for field in fields(value)}
        return replace(value, **changed)
    return value


def wave(parameter: Tensor, number: int) -> Tensor:
    """A direction without a pattern that a model could share, of the parameter's shape."""
    places = torch.arange(parameter.numel(), dtype=torch.float64)
    return torch.sin(places.square() + 1.7 * places + number).view(parameter.shape)


def gradient_values(module: nn.Module, losses: Mapping[str, Tensor], starts: Values) -> Values:
    """Loss terms; of each parameter the norm at the start, and the gradient along a wave and its norm."""
    values = {f"loss {term}": [loss.item()] for term, loss in losses.items()}
    torch.stack(list(losses.values())).sum().backward()
    for number, (name, parameter) in enumerate(module.named_parameters()):
        values[f"start of {name}"] = starts[name]
        if parameter.grad is not None:
            norm = parameter.grad.norm().item()
            along = (parameter.grad * wave(parameter, number).to(parameter.device)).sum().item()
            values[f"gradient of {name}"] = [along, norm]
    return values


def moved(module: nn.Module) -> Values:
    """Norms of the parameters as they are built; then moves each, so that none is zero or one any more."""
    norms = {}
    with torch.no_grad():
        for number, (name, parameter) in enumerate(module.named_parameters()):
            norms[name] = [parameter.norm().item()]
            parameter.add_(wave(parameter, number).to(parameter.device), alpha=0.1)
    return norms


def model_values(
    name: str,
    noise: float = 0.0,
    settings: Mapping[str, object] = MappingProxyType({}),
    device: torch.device | str = "cpu",
) -> Values:
    """One step of a model, or the solution of a closed form; on another device with the draws of the CPU."""
    data = exact(prepared(name, toy_market().data))
    with portable(), drawn_on_the_cpu(device):
        inputs = widened(ModelInputs.from_data(data, device), noise)
        generator = torch.Generator(device)
        generator.manual_seed(11)
        model = model_class(name)(small_config(name, **settings), inputs, generator)
        starts = moved(model)
        values = {}
        if model.spec.batches is BatchKind.NONE:
            model.fit_closed_form()
        else:
            values = gradient_values(model, model.loss(first_batch(model, inputs)), starts)
        scores = model.score(USERS.to(device))[:, ITEMS.to(device)].flatten()
        return {"scores": [*scores.tolist(), scores.abs().max().item()], **values}


def pretrainer_values(name: str, noise: float = 0.0) -> Values:
    """One step of a pretrainer and the vectors of three items."""
    config = small_pretraining(name)
    data = toy_market().data
    if config.item_neighbours:
        data = with_item_graphs(data, config.item_neighbours.count)
    inputs = widened(ModelInputs.from_data(exact(data)), noise)
    with portable():
        module = PRETRAINERS[name](config, inputs, torch.Generator().manual_seed(11))
        starts = moved(module)
        module.train()
        module.start_epoch()
        values = gradient_values(module, module.loss(module.items()), starts)
        module.eval()
        with torch.no_grad():
            matrices = module.matrices()
    for key, matrix in matrices.items():
        rows = matrix.values[ITEMS.numpy(), :4].flatten().tolist()
        values[f"vectors {key}"] = [*rows, float(np.abs(matrix.values).max())]
    return values


def trained_values(name: str) -> Values:
    """Scores of four users for three items after three epochs in float64."""
    with portable():
        scores = trained(name, toy_market().data, seed=11, epochs=3).score(USERS)[:, ITEMS].flatten()
    return {"scores": [*scores.tolist(), scores.abs().max().item()]}


RECORDS: dict[str, Callable[[], Values]] = {
    **{name: partial(model_values, name) for name in sorted(MODELS.own)},
    **{
        f"{name} {' '.join(f'{key}={value}' for key, value in settings.items())}": partial(
            model_values, name, settings=settings
        )
        for name in sorted(VARIANTS)
        for settings in VARIANTS[name]
    },
    **{f"pretraining {name}": partial(pretrainer_values, name) for name in sorted(PRETRAINERS.own)},
    **{f"trained {name}": partial(trained_values, name) for name in TRAINED},
}
"""Name of a record -> the function that computes it."""


def differences(old: Values, new: Values) -> list[str]:
    """Which entries differ by more than `TOLERANCE` of their scale, or are in one of the two alone."""
    found = [f"{key}: only {'before' if key in old else 'now'}" for key in sorted(old.keys() ^ new.keys())]
    for key in sorted(old.keys() & new.keys()):
        if len(old[key]) != len(new[key]):
            found.append(f"{key}: {len(old[key])} numbers before, {len(new[key])} now")
            continue
        gaps = np.abs(np.subtract(old[key], new[key]))
        allowed = TOLERANCE * max(abs(old[key][-1]), TOLERANCE)
        if not gaps.max() <= allowed:
            place = int(gaps.argmax())
            found.append(f"{key}: {old[key][place]:.9g} before, {new[key][place]:.9g} now")
    return found


def differences_elsewhere(name: str, settings: Mapping[str, object], device: torch.device | str) -> list[str]:
    """`differences` between what is on record of a model and what it computes on another device."""
    label = " ".join([name, *(f"{key}={value}" for key, value in settings.items())])
    old, new = json.loads(FILE.read_text())[label], model_values(name, settings=settings, device=device)
    found = differences(old, new)
    return [line for line in found if name not in DRAWN_BY_SIZE or line.startswith(("scores", "start"))]


def written(records: Mapping[str, Values]) -> str:
    """JSON with nine digits a number and a line an entry."""
    blocks = []
    for name, values in records.items():
        lines = [
            f"  {json.dumps(key)}: [{', '.join(f'{number:.9g}' for number in numbers)}]"
            for key, numbers in values.items()
        ]
        blocks.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def main() -> None:
    """Writes the file and prints what changed."""
    old = json.loads(FILE.read_text()) if FILE.exists() else {}
    new = {name: record() for name, record in RECORDS.items()}
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            print(f"{name}: {'gone' if name in old else 'new'}")
            continue
        changed = differences(old[name], new[name])
        for line in changed[:SHOWN]:
            print(f"{name}: {line}")
        if len(changed) > SHOWN:
            print(f"{name}: and {len(changed) - SHOWN} more")
    FILE.write_text(written(new))


if __name__ == "__main__":
    main()
