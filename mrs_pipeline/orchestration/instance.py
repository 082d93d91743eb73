"""Dagster's instance of a home: opened here, refused in one sentence where its settings or its storage are damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from mrs_pipeline.errors import InputError, MrsError
from mrs_pipeline.machine import machine_fault
from mrs_pipeline.orchestration.settings_files import require_instance_settings


@contextmanager
def open_instance(root: Path) -> Iterator[dg.DagsterInstance]:
    """The instance that `dagster.yaml` of a home describes, open as long as the block lasts.

    Raises:
        InputError: its settings or its storage cannot be used.
    """
    require_instance_settings(root)
    try:
        instance = dg.DagsterInstance.get()
    except MrsError:
        raise
    except Exception as error:  # of SQLite, the file system, or Dagster's own checks of its settings
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            machine_fault(error, root)
            or f"Dagster cannot be opened as {root / 'dagster.yaml'} says ({reason}): correct that file, or remove it "
            "and run `mrs init`, which writes it again."
        ) from error
    with instance:
        yield instance
