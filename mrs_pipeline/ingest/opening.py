"""From settings to an opened source. The one door to this room."""

from pathlib import Path

from mrs_pipeline.ingest.options import SourceOptions
from mrs_pipeline.ingest.paths import source_folder
from mrs_pipeline.ingest.source import Source


def open_source(options: SourceOptions, home_root: Path) -> Source:
    """Find a source's files. Nothing is read yet; the demonstration catalogue is made when it is first read.

    Args:
        options: the `source:` section of a dataset.
        home_root: folder that relative paths start from, and where the demonstration catalogue and the converted tables
            of official layouts are written.

    Raises:
        SourceAbsent: the folder is not there, or a variable in `path` is not set.
        InputError: the folder lacks the files that the reader needs, or those that the settings name.
    """
    if options.reader == "demo":
        from mrs_pipeline.ingest.demo.reader import open_demo

        return open_demo(options, home_root)
    assert options.path is not None
    root = source_folder(options.path, home_root)
    if options.reader == "mmrec":
        from mrs_pipeline.ingest.mmrec import open_mmrec

        return open_mmrec(options, root)
    if options.reader == "layout":
        from mrs_pipeline.ingest.layouts.source import open_layout

        return open_layout(options, root, home_root)
    from mrs_pipeline.ingest.folder import open_folder

    return open_folder(options, root)
