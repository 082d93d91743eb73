"""Sets of tokens: regions of pictures and words of texts, for models that attend to them.

Kept as arrays alone: there is no SQL copy, no graph and no measure of quality of them. How content becomes tokens,
and how many are kept, is `encoders.token_maps` and `encoders.options`; feature sets of one vector an item are
`features`.
"""

from collections.abc import Sequence

import numpy as np

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.encoders.engine import extract
from mrs_pipeline.encoders.registry import encoder_roots
from mrs_pipeline.ingest.registry import READERS
from mrs_pipeline.stages.extraction_facts import extraction_facts
from mrs_pipeline.stages.features import encoder_files, row_code
from mrs_pipeline.storage.artifacts import JSON
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.features import previous_extraction
from mrs_pipeline.stored.token_sets import read_tokens
from mrs_pipeline.tasks.files import engine_settings
from mrs_pipeline.tasks.node import CORE_ITEMS, Kind, Node
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Outcome, Stage, Task
from mrs_pipeline.types import TokenMatrix

_LOOKED_AT = 1024
"""Items of a block that a check has in memory."""


def extract_tokens(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Encode what has changed of one modality; content that cannot be used is masked and listed with its reason."""
    name = task.subject
    options = stage.config.feature(name)
    shape = options.token_shape
    assert shape is not None, "the plan has this task for sets of tokens only"
    keys = (stage.config.name, stage.window, name)
    facts: dict[str, JSON] = {}
    with stage.tokens.writing(*keys, provenance=provenance, facts=facts, resume=True) as directory:
        report = extract(
            options,
            stage.lake.read(stage.table("core", "items")),
            source_of(stage).root,
            directory,
            previous=previous_extraction(stage, stage.tokens, name),
            settings=engine_settings(stage).model_copy(update={"code": row_code(options)}),
            progress=True,
        )
        facts |= {"tokens": shape.count, "width": shape.width, "dtype": report.dtype}
        facts |= {"fingerprint": report.fingerprint, **report.made_with}
    failures = stage.table("quality", "failed_media", feature_set=name)
    stage.lake.write_frame(failures, report.failures(), provenance)
    size = report.dimensions * np.dtype(report.dtype).itemsize
    own = {
        "tokens of an item, most": shape.count,
        "numbers of a token": shape.width,
        "bytes of an item": size,
        "MB": round(report.items * size / 1e6, 2),
    }
    return [Outcome(task.outputs[0], stage.tokens.read(*keys).digest, extraction_facts(report, own))]


def check_tokens(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """Whether the rows are those of the items, and hold finite tokens where they are present and none elsewhere."""
    (spec,) = task.check_specs
    matrix = read_tokens(stage, task.subject)
    broken = _faults(matrix, stage.lake.manifest(stage.table("core", "items")).rows)
    told = f"broken: {'; '.join(broken)}" if broken else spec.description
    return [CheckOutcome(spec.name, spec.output, not broken, spec.blocking, told)]


def _faults(matrix: TokenMatrix, n_items: int) -> list[str]:
    faults = []
    if len(matrix.values) != n_items or len(matrix.present) != n_items:
        faults.append(f"{len(matrix.values)} rows for {n_items} items")
    if not matrix.present.any():
        faults.append("no item has any token")
    wrong = empty = stray = 0
    for start in range(0, min(len(matrix.values), len(matrix.present)), _LOOKED_AT):
        block = np.asarray(matrix.values[start : start + _LOOKED_AT])
        present = matrix.present[start : start + len(block)]
        filled = (block != 0).any(axis=(1, 2))
        wrong += int((~np.isfinite(block)).any(axis=(1, 2)).sum())
        empty += int((present & ~filled).sum())
        stray += int((~present & filled).sum())
    for count, what in (
        (wrong, "hold a NaN or infinite value"),
        (empty, "are present without a token"),
        (stray, "are missing and hold tokens"),
    ):
        if count:
            faults.append(f"{count} rows {what}")
    return faults


def token_task(config: DatasetConfig, name: str) -> Task:
    """The task that makes the set of tokens `name`."""
    options = config.feature(name)
    output = Node(Kind.TOKENS, name)
    return Task(
        outputs=(output,),
        inputs=(CORE_ITEMS,),
        files=encoder_files(options),
        run=extract_tokens,
        uses=(READERS.reference(config.source.reader), *encoder_roots(options)),
        settings={"encoder": deciding(options)},
        group="features",
        description=f"Tokens for models that attend to them: {options.modality} by {options.encoder}. Row i is item i.",
        tags=(f"modality/{options.modality}", f"encoder/{options.encoder}"),
        kinds=(str(options.modality),),
        pool="gpu",
        check_specs=(
            CheckSpec(
                "usable", output, "A row for each item, finite tokens where it is present, none elsewhere."
            ),
        ),
        check=check_tokens,
    )
