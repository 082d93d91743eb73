"""Lineage told to others as OpenLineage events: what each step reads, what it makes, with digests, columns and origins.

Told where an address or a file is set up as OpenLineage does it: `openlineage.yml` in the home, or `OPENLINEAGE_URL`,
`OPENLINEAGE_CONFIG` or `OPENLINEAGE__...` in the environment. An event that cannot be delivered is one warning a
process, and no step fails for it. Needs `pip install 'mrs-pipeline[openlineage]'`.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mrs_pipeline import __version__
from mrs_pipeline.tasks.places import column_sources
from mrs_pipeline.tasks.task import Outcome, Stage, Task

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient

LOG = logging.getLogger("mrs_pipeline")
_PRODUCER: Final = f"https://pypi.org/project/mrs-pipeline/{__version__}"
_FILE: Final = "openlineage.yml"
_VARIABLES: Final = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
_PREFIX: Final = "OPENLINEAGE__"
_told: set[str] = set()
"""Warnings that this process has given."""


@dataclass
class StepEvents:
    """Collects what a step has made, for the event of its end."""

    outcomes: list[Outcome] = field(default_factory=list)
    upstream: dict[str, str] = field(default_factory=dict)

    def made(self, outcomes: Sequence[Outcome], upstream: Mapping[str, str]) -> None:
        """The step is done: what it made, and the digests of what it was made from."""
        self.outcomes, self.upstream = list(outcomes), dict(upstream)


@contextmanager
def told(stage: Stage, task: Task, run: str, job: str) -> Iterator[StepEvents]:
    """Tell of the step that the block is: that it starts, and how it ends.

    Args:
        stage: dataset and window.
        task: what is done.
        run: id of Dagster's run, the parent of the step's own.
        job: name of Dagster's job.
    """
    events = StepEvents()
    client = _client(stage.home.root)
    if client is None:
        yield events
        return
    from openlineage.client.event_v2 import RunState
    from openlineage.client.uuid import generate_new_uuid

    step = _Step(client, stage, task, str(generate_new_uuid()), (run, job))
    step.emit(RunState.START, events)
    try:
        yield events
    except Exception as error:
        step.emit(RunState.FAIL, events, str(error))
        raise
    step.emit(RunState.COMPLETE, events)


@dataclass(frozen=True)
class _Step:
    client: "OpenLineageClient"
    stage: Stage
    task: Task
    id: str
    parent: tuple[str, str]

    @property
    def namespace(self) -> str:
        return f"mrs_pipeline.{self.stage.config.name}"

    def emit(self, state: Any, events: StepEvents, failure: str | None = None) -> None:
        from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent
        from openlineage.client.facet_v2 import error_message_run, job_type_job, parent_run

        run_id, job = self.parent
        facets: dict[str, Any] = {
            "parent": parent_run.ParentRunFacet(
                parent_run.Run(run_id), parent_run.Job(self.namespace, job), producer=_PRODUCER
            )
        }
        if failure is not None:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(failure, "python")
        kind = job_type_job.JobTypeJobFacet("BATCH", "DAGSTER", "TASK", producer=_PRODUCER)
        event = RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(),
            producer=_PRODUCER,
            run=Run(self.id, facets),
            job=Job(self.namespace, self.task.name, {"jobType": kind}),
            inputs=[
                InputDataset(self.namespace, self._named(name), facets=_version(digest))
                for name, digest in events.upstream.items()
            ],
            outputs=[
                OutputDataset(self.namespace, self._named(str(each.node)), facets=self._facets(each))
                for each in events.outcomes
            ],
        )
        try:
            self.client.emit(event)
        except Exception as error:  # of whatever carries it
            _warn(f"OpenLineage could not be told: {' '.join(str(error).split())[:200]}")

    def _named(self, name: str) -> str:
        """`core/items@2024-06`: an asset of a window names it, a file has none."""
        asset, _, window = name.partition("@")
        if window or not self.task.windowed or asset.startswith(("source/", "media/", "raw/items")):
            return name
        return f"{asset}@{self.stage.window}"

    def _facets(self, outcome: Outcome) -> dict[str, Any]:
        from openlineage.client.facet_v2 import column_lineage_dataset, schema_dataset

        facets = _version(outcome.digest)
        if not outcome.columns:
            return facets
        columns = [
            schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in outcome.columns.items()
        ]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(columns, producer=_PRODUCER)
        origins = {
            column: column_lineage_dataset.Fields(
                [
                    column_lineage_dataset.InputField(self.namespace, self._named(asset), name)
                    for asset, name in pairs
                ]
            )
            for column, pairs in column_sources(self.stage.config, outcome.node.asset).items()
            if column in outcome.columns
        }
        if origins:
            facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
                origins, producer=_PRODUCER
            )
        return facets


def _version(digest: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(digest, producer=_PRODUCER)}


@lru_cache(maxsize=8)
def _client(root: Path) -> "OpenLineageClient | None":
    """The client that is set up for a home; None where none is."""
    config = root / _FILE
    asked = any(os.environ.get(name) for name in _VARIABLES) or any(
        name.startswith(_PREFIX) for name in os.environ
    )
    if not asked and not config.is_file():
        return None
    try:
        from openlineage.client import OpenLineageClient
    except ImportError:
        _warn("OpenLineage is set up and not installed: pip install 'mrs-pipeline[openlineage]'")
        return None
    try:
        return OpenLineageClient() if asked else OpenLineageClient(config=_settings(config))
    except Exception as error:  # of its own checks of its settings
        _warn(f"OpenLineage cannot be used as it is set up: {' '.join(str(error).split())[:200]}")
        return None


def _settings(path: Path) -> dict[str, Any]:
    from mrs_pipeline.documents import yaml_file

    documents = yaml_file(path)
    return dict(documents[0].value) if documents and isinstance(documents[0].value, dict) else {}


def _warn(sentence: str) -> None:
    if sentence not in _told:
        _told.add(sentence)
        LOG.warning("%s", sentence)
