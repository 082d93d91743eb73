"""Reader `demo`: the demonstration catalogue as a source, made when it is first read.

Only where it lies and when it is made; everything else is a folder source like any other.
"""

from functools import partial
from pathlib import Path

import numpy as np

from mrs_pipeline.ingest.demo.market import FIRST_MONTH, MONTHS
from mrs_pipeline.ingest.demo.options import DEMO_FOLDER, DemoSourceOptions
from mrs_pipeline.ingest.demo.writer import ensure_demo
from mrs_pipeline.ingest.interactions import InteractionLayout
from mrs_pipeline.ingest.reader import Reader
from mrs_pipeline.ingest.source import TabularSource
from mrs_pipeline.ingest.values import KNOWN_SPLITS


class DemoReader(Reader[DemoSourceOptions]):
    """Months of interactions and a catalogue with pictures and sounds."""

    Options = DemoSourceOptions

    @classmethod
    def open(cls, options: DemoSourceOptions, home_root: Path) -> TabularSource:
        """The catalogue below the project's home; its files appear when they are first asked for."""
        root = (home_root / DEMO_FOLDER).resolve()
        months = [np.datetime64(FIRST_MONTH, "M") + month for month in range(MONTHS)]
        return TabularSource(
            root=root,
            interaction_files=tuple(root / "interactions" / f"{month}.parquet" for month in months),
            items_file=root / "items.csv",
            layout=InteractionLayout({}, {}, KNOWN_SPLITS),
            prepare=partial(ensure_demo, options.demo, root),
        )
