"""The readers by name: those of this package, and those that others add under `mrs_pipeline.readers`.

A reader's file, with its settings, is loaded when a dataset names it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

from mrs_pipeline.code import boundary
from mrs_pipeline.errors import did_you_mean
from mrs_pipeline.ingest.options import SourceOptions
from mrs_pipeline.open_settings import OneOf
from mrs_pipeline.registry import Registry, class_flaw

if TYPE_CHECKING:
    from mrs_pipeline.ingest.reader import Reader

_DEFAULT: Final = "folder"


def _flaw(_: str, found: object) -> str | None:
    from mrs_pipeline.ingest.reader import Reader

    return class_flaw(found, Reader, "Options")


READERS: Final["Registry[type[Reader[Any]]]"] = boundary(
    Registry(
        "mrs_pipeline.readers",
        "reader",
        {
            "folder": "mrs_pipeline.ingest.folder:FolderReader",
            "mmrec": "mrs_pipeline.ingest.mmrec:MmrecReader",
            "layout": "mrs_pipeline.ingest.layouts.reader:LayoutReader",
            "demo": "mrs_pipeline.ingest.demo.reader:DemoReader",
        },
        _flaw,
    )
)
"""Name -> class."""


def _options_class(entry: Mapping[str, Any]) -> type[SourceOptions]:
    name = entry.get("reader", _DEFAULT)
    if name not in READERS:
        raise ValueError(
            f"there is no reader '{name}'{did_you_mean(str(name), READERS)}; the readers are {', '.join(READERS)}"
        )
    return READERS[name].Options


AnySource = Annotated[
    SourceOptions, OneOf(_options_class, lambda: [each.Options for each in READERS.values()])
]
"""The `source:` section of a dataset. `reader` says what else it may hold; without one it is a `folder`."""
