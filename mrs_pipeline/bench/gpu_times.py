"""What is timed on a device beside the bare operation: epochs, evaluation, neighbours, extraction, kernels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mrs_pipeline.bench.gpu import Bench, GpuRow
from mrs_pipeline.bench.gpu_checks import built, with_needs
from mrs_pipeline.bench.gpu_market import market
from mrs_pipeline.bench.hardware import seconds_of
from mrs_pipeline.evaluation.evaluator import ranking_evidence, ranking_task
from mrs_pipeline.functional.graphs import cosine_neighbours
from mrs_pipeline.functional.kernels.edges import EdgePattern, edge_attention, edge_attention_reference
from mrs_pipeline.functional.kernels.sparse_products import (
    SparseOperator,
    mean_propagation,
    mean_propagation_reference,
)
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.metrics.evidence import Background
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.models.layers.lightgcn import user_item_operator
from mrs_pipeline.training.loop import train
from mrs_pipeline.training.options import TrainingOptions

_TIMED = ("bpr_mf", "lightgcn", "vbpr", "freedom", "bm3", "mgcn", "lattice", "mmgcn")
_BATCH = 2048
_EPOCHS = 4


def epochs(bench: Bench) -> Iterator[GpuRow]:
    """Seconds of an epoch; LightGCN's beside its sparse products alone, and those beside the bytes that they move."""
    size = (3000, 2000, 8) if bench.small else (9308, 6710, 7)
    yield from _epochs_of(bench, _TIMED, size)
    if not bench.small:
        yield from _epochs_of(bench, ("bpr_mf", "lightgcn", "vbpr"), (200_000, 50_000, 25))


def _epochs_of(bench: Bench, names: tuple[str, ...], size: tuple[int, int, int]) -> Iterator[GpuRow]:
    data = market(*size)
    for name in names:
        if bench.over:
            yield GpuRow("epochs", name, note="not begun: the time was up")
            continue
        model, inputs = built(name, with_needs(name, data), bench.device)
        options = TrainingOptions(epochs=_EPOCHS, batch_size=_BATCH, checkpoint_every=0)
        result = train(model, inputs, options, None)
        seconds = min(record.seconds for record in result.history[1:])
        steps = -(-len(inputs.users) // _BATCH)
        note = f"{len(inputs.users)} rows, {steps} steps, peak {result.peak_memory_mb:.0f} MB"
        bare = limit = None
        if name == "lightgcn":
            bare, limit = _products(
                bench, user_item_operator(inputs), 2 * steps * int(model.config.model_dump()["n_layers"])
            )
        yield GpuRow("epochs", f"{name} {len(inputs.users)}", seconds, bare, limit, note)


def _products(bench: Bench, operator: SparseOperator, times: int) -> tuple[float, float]:
    """Seconds of so many sparse products of 64 columns, and those that their bytes take at the rate of a copy."""
    matrix = operator.matrix
    dense = torch.randn(matrix.shape[1], 64, device=bench.device)
    one = seconds_of(lambda: torch.mm(matrix, dense), bench.device)
    return times * one, times * bench.limits.seconds(product_bytes(matrix, 64))


def product_bytes(matrix: Tensor, width: int) -> float:
    """Bytes of a CSR product at the least: each entry with its column, each table once in and once out."""
    entry = 4 + matrix.col_indices().element_size()
    return entry * len(matrix.values()) + 4 * width * (matrix.shape[0] + matrix.shape[1])


def evaluation(bench: Bench) -> Iterator[GpuRow]:
    """Ranks of all held-out items among all items, beside the product of users and items."""
    data = market(*((3000, 2000, 8) if bench.small else (50_000, 50_000, 10)))
    model: AnyRecommender = built("bpr_mf", data, bench.device)[0]
    task, background = ranking_task(data.valid, [data.train], device=bench.device), Background(data.train)
    users, items = model.representations()
    asked, columns = users.detach()[task.users], items.detach().T.contiguous()
    size = max(1, 2**27 // columns.shape[1])

    def product() -> None:
        for chunk in torch.split(asked, size):
            chunk @ columns

    flops = 2.0 * len(asked) * columns.numel()
    limit = bench.limits.seconds(4.0 * len(asked) * columns.shape[1], flops)
    bare = seconds_of(product, bench.device, 3)
    for length in (0, 50):

        def ranks(length: int = length) -> object:
            return ranking_evidence(model, task, background, length)

        case = f"ranks{' and lists of 50' if length else ''}"
        seconds = seconds_of(ranks, bench.device, 3)
        yield GpuRow("evaluation", case, seconds, bare, limit, f"{len(asked)} users")


def neighbours(bench: Bench) -> Iterator[GpuRow]:
    """The 10 nearest of all items by cosine, beside the products alone."""
    n, width = (4000, 64) if bench.small else (100_000, 384)
    unit = nn.functional.normalize(torch.randn(n, width, device=bench.device), dim=1)
    block = max(32, 2**27 // n)

    def products() -> None:
        for start in range(0, n, block):
            unit[start : start + block] @ unit.T

    limit = bench.limits.seconds(4.0 * n * n, 2.0 * n * n * width)
    found = seconds_of(lambda: cosine_neighbours(unit, 10), bench.device, 1)
    yield GpuRow("neighbours", f"{n} x {width}", found, seconds_of(products, bench.device, 1), limit)


@dataclass(frozen=True)
class _Shape:
    """A transformer's size: items a batch, tokens an item, blocks, width, heads."""

    name: str
    items: int
    tokens: int
    blocks: int
    width: int
    heads: int
    input_bytes: int

    def network(self, device: torch.device) -> nn.Module:
        block = nn.TransformerEncoderLayer(
            self.width, self.heads, 4 * self.width, 0.0, batch_first=True, activation="gelu", device=device
        )
        network = nn.TransformerEncoder(block, self.blocks, enable_nested_tensor=False)
        return network.to(torch.bfloat16).eval().requires_grad_(False)

    def reduced(self) -> "_Shape":
        """Two blocks and two short items, for a CPU."""
        return replace(self, items=2, tokens=32, blocks=2)

    @property
    def flops(self) -> float:
        products = 24 * self.width**2 * self.tokens + 4 * self.tokens**2 * self.width
        return float(self.items * self.blocks * products)


_SHAPES = (
    _Shape("MiniLM, 128 tokens", 256, 128, 6, 384, 12, 4),
    _Shape("ViT-B, 197 patches", 64, 197, 12, 768, 12, 768),
)


def extraction(bench: Bench) -> Iterator[GpuRow]:
    """Batches that come from the host and whose vectors go back, beside the forward pass of one that is there."""
    for full in _SHAPES:
        shape = full.reduced() if bench.small else full
        if bench.over:
            yield GpuRow("extraction", shape.name, note="not begun: the time was up")
            continue
        network, batches = shape.network(bench.device), 2 if bench.small else 20
        cuda = bench.device.type == "cuda"
        raw = torch.randint(0, 255, (shape.items, shape.tokens, shape.input_bytes), dtype=torch.uint8)
        raw = raw.pin_memory() if cuda else raw
        widen = torch.randn(shape.input_bytes, shape.width, device=bench.device).to(torch.bfloat16)

        def forward(sent: Tensor, widen: Tensor = widen, network: nn.Module = network) -> Tensor:
            vectors: Tensor = network((sent.to(torch.bfloat16) / 255) @ widen).mean(1)
            return vectors

        def extract(
            raw: Tensor = raw, batches: int = batches, forward: Callable[[Tensor], Tensor] = forward
        ) -> None:
            done = [forward(raw.to(bench.device, non_blocking=True)).float() for _ in range(batches)]
            torch.cat(done).cpu()

        there = raw.to(bench.device)
        with torch.inference_mode():
            bare = batches * seconds_of(lambda: forward(there), bench.device)  # noqa: B023
            found = seconds_of(extract, bench.device, 3)
        limit = batches * shape.flops / bench.limits.bfloat16_flops
        rate = batches * shape.items / found
        yield GpuRow(
            "extraction", shape.name, found, bare, limit, f"{rate:.0f} items/s, bfloat16, random weights"
        )


def kernels(bench: Bench) -> Iterator[GpuRow]:
    """Hand-written kernels, forward and backward, beside their references; a ratio above one: take the reference."""
    n, entries = (3000, 30_000) if bench.small else (100_000, 2_000_000)
    rows, columns = (torch.randint(n, (entries,), device=bench.device) for _ in range(2))
    graph = Csr.from_pairs(rows, columns, torch.rand(entries, device=bench.device), (n, n))
    operator, pattern = SparseOperator.from_csr(graph), EdgePattern.from_csr(graph)
    x = torch.randn(n, 64, device=bench.device, requires_grad=True)
    matrix, dense = operator.matrix, x.detach()

    def into() -> None:
        result = dense.new_empty(n, 64)
        torch.addmm(result, matrix, dense, beta=0, out=result)

    pairs: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
        "mean_propagation": (
            lambda: mean_propagation(operator, x, 3),
            lambda: mean_propagation_reference(operator, x, 3),
        ),
        "edge_attention": (
            lambda: edge_attention(pattern, x, x)[0],
            lambda: edge_attention_reference(pattern, x, x)[0],
        ),
    }
    for name, (kernel, reference) in pairs.items():
        seconds, bare = (
            seconds_of(lambda made=made: torch.autograd.grad(made().sum(), x), bench.device)  # type: ignore[misc]
            for made in (kernel, reference)
        )
        yield GpuRow("kernels", name, seconds, bare, note=f"{len(graph.indices)} entries, 64 columns")
    plain = seconds_of(lambda: torch.mm(matrix, dense), bench.device)
    yield GpuRow("kernels", "product into new memory", seconds_of(into, bench.device), plain)
