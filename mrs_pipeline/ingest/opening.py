"""From settings to an opened source. The one door to this room."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mrs_pipeline.ingest.options import SourceOptions
from mrs_pipeline.ingest.registry import READERS, AnySource
from mrs_pipeline.ingest.source import Source

_ADAPTER: TypeAdapter[SourceOptions] = TypeAdapter(AnySource)


def source_options(written: Mapping[str, Any]) -> SourceOptions:
    """A `source:` section as settings of the reader it names; pydantic's ValidationError where it does not fit."""
    return _ADAPTER.validate_python(written)


def open_source(options: SourceOptions, home_root: Path) -> Source:
    """Find a source's files. Nothing is read yet; the demonstration catalogue is made when it is first read.

    Args:
        options: the `source:` section of a dataset.
        home_root: folder that relative paths start from, and where the demonstration catalogue and the converted
            tables of official layouts are written.

    Raises:
        SourceAbsent: the folder is not there, or a variable in `path` is not set.
        InputError: the folder lacks the files that the reader needs, or those that the settings name.
    """
    return READERS.find(options.reader).open(options, home_root)
