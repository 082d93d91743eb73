"""Reader `layout`: a public data set as its authors publish it. Only its settings; opening is `source`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mrs_pipeline.ingest.locating import source_folder
from mrs_pipeline.ingest.options import SourceOptions, SourcePath
from mrs_pipeline.ingest.reader import Reader

if TYPE_CHECKING:
    from mrs_pipeline.ingest.layouts.source import LayoutSource


class LayoutOptions(SourceOptions):
    """A folder in an official layout, see docs/datasets.md."""

    reader: Literal["layout"]
    """The name of this reader."""
    layout: str
    """Which layout: `ml-1m`, `hm`, ...; `mrs init` finds it."""
    path: SourcePath
    """The folder, a `.zip`, or an address, as for the reader `folder`; `$NAME` stands for an environment variable."""
    choices: dict[str, str] = Field(default_factory=dict)
    """What the layout leaves open: name -> value."""

    @property
    def place(self) -> str:
        """The folder."""
        return self.path


class LayoutReader(Reader[LayoutOptions]):
    """A public data set as its authors publish it."""

    Options = LayoutOptions

    @classmethod
    def open(cls, options: LayoutOptions, home_root: Path) -> "LayoutSource":
        """The source below `options.path`; InputError where it has another layout or leaves a choice."""
        from mrs_pipeline.ingest.layouts.source import open_layout

        root = source_folder(options.path, home_root)
        return open_layout(options.layout, options.choices, root, home_root)
