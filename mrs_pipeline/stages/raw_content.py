"""Content decoded once for models that train an encoder: pixels and token numbers, aligned with the items.

How content is decoded, within which bounds, is `encoders.raw`; feature sets are `features`.
"""

from collections.abc import Sequence

import numpy as np

from mrs_pipeline.code import closure
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.encoders.engine import extract_with
from mrs_pipeline.encoders.raw import open_raw
from mrs_pipeline.ingest.registry import READERS
from mrs_pipeline.stages.extraction_facts import extraction_facts
from mrs_pipeline.storage.artifacts import JSON
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.features import previous_extraction
from mrs_pipeline.stored.raw_content import read_raw_content
from mrs_pipeline.tasks.files import engine_settings, pretrained_part
from mrs_pipeline.tasks.node import CORE_ITEMS, External, Files, Kind, Node
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Outcome, Stage, Task
from mrs_pipeline.types import RawContent


def decode_content(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Decode what has changed of one modality; unusable content is masked and listed with its reason."""
    modality = task.subject
    options = stage.config.raw_entry(modality)
    source = source_of(stage)
    code = closure("mrs_pipeline.encoders.engine:extract_with", open_raw).digest
    settings = engine_settings(stage).model_copy(update={"code": code})
    encoder = open_raw(options, source.root, settings)
    keys = (stage.config.name, stage.window, modality)
    facts: dict[str, JSON] = {}
    with stage.raw_content.writing(*keys, provenance=provenance, facts=facts, resume=True) as directory:
        report = extract_with(
            encoder,
            stage.lake.read(stage.table("core", "items")),
            directory,
            previous=previous_extraction(stage, stage.raw_content, modality),
            settings=settings,
            progress=True,
        )
        encoder.write_beside(directory)
        facts |= {"fingerprint": report.fingerprint}
    failures = stage.table("quality", "failed_media", feature_set=f"raw_{modality}")
    stage.lake.write_frame(failures, report.failures(), provenance)
    own = {
        "shape of an item": " x ".join(str(side) for side in encoder.layout.shape),
        "MB": round(report.items * report.dimensions * np.dtype(report.dtype).itemsize / 1e6, 2),
    }
    return [
        Outcome(
            task.outputs[0],
            stage.raw_content.read(*keys).digest,
            extraction_facts(report, own, "decoded now"),
        )
    ]


def check_content(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """Whether the rows are those of the items, and hold what the layout says."""
    (spec,) = task.check_specs
    content = read_raw_content(stage, task.subject)
    broken = _faults(content, stage.lake.manifest(stage.table("core", "items")).rows)
    told = f"broken: {'; '.join(broken)}" if broken else spec.description
    return [CheckOutcome(spec.name, spec.output, not broken, spec.blocking, told)]


def _faults(content: RawContent, n_items: int) -> list[str]:
    faults = []
    if len(content.values) != n_items or len(content.present) != n_items:
        faults.append(f"{len(content.values)} rows for {n_items} items")
    if not content.present.any():
        faults.append("no item has any content that can be used")
    if content.vocabulary:
        tokens = content.values[content.present[: len(content.values)]]
        if len(tokens) and (tokens.max() >= content.vocabulary or tokens.min() < -1):
            faults.append(f"token numbers outside -1..{content.vocabulary - 1}")
    return faults


def raw_content_task(config: DatasetConfig, modality: str) -> Task:
    """The task that decodes one modality."""
    options = config.raw_entry(modality)
    media = () if modality == "text" else (External(Files.MEDIA, modality),)
    network = (External(Files.NETWORK, modality),) if pretrained_part(options) else ()
    output = Node(Kind.RAW_CONTENT, modality)
    return Task(
        outputs=(output,),
        inputs=(CORE_ITEMS,),
        files=(*media, *network),
        run=decode_content,
        uses=(READERS.reference(config.source.reader),),
        settings={"raw": deciding(options)},
        group="features",
        description=f"Decoded {modality} for models that train an encoder. Row i is item i; missing is masked.",
        tags=(f"modality/{modality}",),
        kinds=(modality,),
        check_specs=(
            CheckSpec("usable", output, "A row for each item, some with content, all as the layout says."),
        ),
        check=check_content,
    )
