"""What a reader is: it knows one layout of raw files, its settings, and how such a source is opened."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from mrs_pipeline.ingest.options import SourceOptions
from mrs_pipeline.ingest.source import Source

OptionsT = TypeVar("OptionsT", bound=SourceOptions)


class Reader(ABC, Generic[OptionsT]):
    """A reader. Its class is all there is of it; nobody makes objects of it.

    A reader of tables returns a `TabularSource`, which reads, checks and describes them; another kind of source
    implements `source.Source` itself.
    """

    Options: ClassVar[type[SourceOptions]]
    """Class of its settings, with `reader: Literal["<its name>"]`."""

    @classmethod
    @abstractmethod
    def open(cls, options: OptionsT, home_root: Path) -> Source:
        """Find the files. Nothing is read yet.

        Args:
            options: the `source:` section of a dataset.
            home_root: folder that relative paths start from.

        Raises:
            SourceAbsent: the folder is not there, or a variable in its path is not set.
            InputError: the folder lacks files that this reader needs, or those that the settings name.
        """
