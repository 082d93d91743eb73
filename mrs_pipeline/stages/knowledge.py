"""The knowledge graph of a window: from attributes or a file of triples to `core.knowledge`, and back for models.

The SQL and what must hold are `tables.knowledge`; the settings, `ingest.knowledge_options`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.ingest.knowledge_options import DECADE, KnowledgeOptions
from mrs_pipeline.ingest.registry import READERS
from mrs_pipeline.ingest.triples import triples_select
from mrs_pipeline.stages.checks.suites import expectations, suite_outcome
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.knowledge import as_integers
from mrs_pipeline.tables.knowledge import build_from_attributes, build_from_triples, suites
from mrs_pipeline.tasks.node import CORE_ITEMS, KNOWLEDGE_GRAPH, External, Files
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Outcome, Stage, Task

_SAMPLE = 8
_FEW = 0.5
"""A share of items with a triple below this is warned of: the graph says nothing of the others."""

_SPECS = (
    expectations(KNOWLEDGE_GRAPH, "no triple twice, none of an unknown item, and at least one."),
    CheckSpec("coverage", KNOWLEDGE_GRAPH, "At least half of the items are in some triple.", blocking=False),
)


def build_knowledge(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Build the graph for the items that the window has."""
    options, items = _options(stage.config), stage.lake.scan(table_of(stage, CORE_ITEMS))
    table = table_of(stage, KNOWLEDGE_GRAPH)
    with stage.lake.connect() as con:
        facts: dict[str, object] = {}
        if options.triples is None:
            built = build_from_attributes(
                con,
                items,
                options.relations,
                decade=DECADE if options.decade else None,
                separator=options.separator,
                ignore=options.ignore,
                min_items=options.min_items,
            )
        else:
            columns = {str(part): column for part, column in options.triple_columns.items()}
            source = source_of(stage)
            triples = triples_select(
                con, source.root, options.triples, columns, links=options.links, ids=source.ids
            )
            built = build_from_triples(con, items, triples)
            facts["lines read"] = _one(con.sql(f"SELECT count(*) FROM ({triples})").pl())
        manifest = stage.lake.write(con, table, f"SELECT * FROM {built}", provenance)
        facts = {"triples": manifest.rows, **facts, **_numbers(stage)}
        by_relation = con.sql(
            "SELECT relation_name AS relation, count(*) AS triples, count(DISTINCT head) AS heads, "
            f"count(DISTINCT tail) AS tails FROM {built} GROUP BY ALL ORDER BY triples DESC, relation"
        ).pl()
        sample = con.sql(f"SELECT * FROM {built} USING SAMPLE {_SAMPLE} ROWS (reservoir, 1)").pl()
    facts |= {"triples by relation": by_relation, "sample": sample}
    return [Outcome(KNOWLEDGE_GRAPH, manifest.digest, facts, manifest.columns)]


def check_knowledge(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of the graph, and how many items it says something of."""
    broken, thin = _SPECS
    scans = (stage.lake.scan(table_of(stage, node)) for node in (KNOWLEDGE_GRAPH, CORE_ITEMS))
    numbers = _numbers(stage)
    share = 1 - numbers["items without any triple"] / max(1, numbers["items"])
    told = f"{share:.0%} of the items are in some triple"
    return [
        suite_outcome(stage, broken, suites(*scans)),
        CheckOutcome(thin.name, thin.output, share >= _FEW, thin.blocking, told, numbers),
    ]


def knowledge_task(config: DatasetConfig) -> Task:
    """The task that builds the knowledge graph."""
    options = _options(config)
    read = options.triples is not None
    return Task(
        outputs=(KNOWLEDGE_GRAPH,),
        inputs=(CORE_ITEMS,),
        files=tuple(External(Files.TRIPLES, name) for name in (options.triples, options.links) if name),
        run=build_knowledge,
        uses=(READERS.reference(config.source.reader),) if read else (),
        settings={"knowledge": options.model_dump(mode="json")},
        group="features",
        description="What is known of the items, as triples: "
        + (f"the file {options.triples}." if read else f"{', '.join(options.relations)}."),
        kinds=("duckdb", "graph"),
        check_specs=_SPECS,
        check=check_knowledge,
    )


def _options(config: DatasetConfig) -> KnowledgeOptions:
    if config.knowledge is None:
        raise ValueError(f"{config.name} has no knowledge section")
    return config.knowledge


def _numbers(stage: Stage) -> dict[str, int]:
    """Entities and items, and the items that no triple names."""
    triples = stage.lake.read(table_of(stage, KNOWLEDGE_GRAPH))
    items = stage.lake.manifest(table_of(stage, CORE_ITEMS)).rows
    named = np.unique(np.concatenate([as_integers(triples["head"]), as_integers(triples["tail"])]))
    return {
        "items": items,
        "other entities": int((named >= items).sum()),
        "relations": triples["relation"].n_unique(),
        "items without any triple": items - int((named < items).sum()),
    }


def _one(frame: pl.DataFrame) -> Any:
    return frame.item()
