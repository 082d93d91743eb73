"""What is served now, and its replacement as a whole when a run has made another.

A request takes the `Served` of its first moment and keeps it to its end, so that a swap drops and mixes nothing. What
is looked at are the record of promotions, and the manifests of the final model, of its index and of the leaderboard:
files that are replaced last.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from mrs_pipeline.errors import MrsError
from mrs_pipeline.serving.bundle import Bundle, leading_model, load_bundle, serving_window
from mrs_pipeline.serving.newcomers import ContentEncoders, Newcomers, NewItem, new_item
from mrs_pipeline.storage.table import Table
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import exists, record
from mrs_pipeline.tasks.task import Stage

LOG = logging.getLogger("mrs_pipeline")


@dataclass(frozen=True)
class Served:
    """One state of the service, never changed.

    Attributes:
        bundle: the model.
        newcomers: items that were added while serving.
        encoders: of the dataset's feature sets.
        since: seconds since the epoch at which it was put in place.
    """

    bundle: Bundle
    newcomers: Newcomers
    encoders: ContentEncoders
    since: float


def _no_champion(_: Stage) -> tuple[Stage, str] | None:
    return None


class Holder:
    """Holds what is served and looks for what should be.

    Args:
        stage: of the dataset, at any window.
        model: its name; the champion if None, the window's leader where there is none or a window is named.
        window: the last one with a model if None.
        swapped: called after each swap.
        champion: finds the champion's stores and name (`promotion.decisions.champion_stage`); there is none by default.
    """

    def __init__(
        self,
        stage: Stage,
        model: str | None = None,
        window: str | None = None,
        swapped: Callable[[Served], None] | None = None,
        champion: Callable[[Stage], tuple[Stage, str] | None] = _no_champion,
    ) -> None:
        self._stage, self._model, self._window = stage, model, window
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._on_swap, self._champion = swapped, champion
        self._seen = self._wanted()
        self.swaps = 0
        self.trouble: str | None = None
        self._served = self._load(Newcomers())

    @property
    def served(self) -> Served:
        """What is served now."""
        return self._served

    def on_swap(self, called: Callable[[Served], None]) -> None:
        """Have `called` told of each swap."""
        self._on_swap = called

    def add(self, make: Callable[[Served], NewItem]) -> NewItem:
        """Add an item that `make` makes for what is served."""
        with self._lock:
            item = make(self._served)
            self._served = replace(self._served, newcomers=self._served.newcomers.plus(item))
        return item

    def refresh(self) -> bool:
        """Put in place what a run has made since; whether there was anything.

        What cannot be loaded, for example while a run is half done, is left for the next look; what is served stays.
        """
        try:
            wanted = self._wanted()
            if wanted == self._seen:
                return False
            with self._lock:
                self._served = self._load(self._served.newcomers)
        except (MrsError, OSError, ValueError, KeyError) as error:
            self.trouble = str(error)
            LOG.warning("not served yet: %s", error)
            return False
        self._seen, self.trouble = wanted, None
        self.swaps += 1
        if self._on_swap:
            self._on_swap(self._served)
        return True

    def watch(self, seconds: float) -> threading.Thread:
        """Look every so many seconds until `close`."""

        def look() -> None:
            while not self._stop.wait(seconds):
                self.refresh()

        thread = threading.Thread(target=look, name="mrs-swap", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Look no more, and remove what was uploaded."""
        self._stop.set()
        self._served.encoders.close()

    def _wanted(self) -> tuple[str, str, str, str]:
        """Window, model, and the digests of its weights and of its index."""
        stage, name = self._chosen()
        kind = Kind.FINAL if stage.config.serving.refit else Kind.TRAINED
        index = Node(Kind.INDEX, name)
        return (
            stage.window,
            name,
            record(stage, Node(kind, name))[0],
            record(stage, index)[0] if exists(stage, index) else "",
        )

    def _chosen(self) -> tuple[Stage, str]:
        if self._model is None and self._window is None and (found := self._champion(self._stage)):
            return found
        stage = serving_window(self._stage, self._window)
        if self._model is not None:
            return stage, self._model
        board = Table.of("eval", "leaderboard", dataset=stage.config.name)
        if not stage.lake.exists(board) and len(stage.config.model_configs) == 1:
            return stage, next(iter(stage.config.model_configs))
        return stage, leading_model(stage)

    def _load(self, newcomers: Newcomers) -> Served:
        stage, name = self._chosen()
        bundle = load_bundle(stage, name)
        kept = Newcomers()
        for item in newcomers.items.values():
            if item.item_id not in bundle.shelf.places:  # else the catalogue has it by now
                try:
                    again = new_item(bundle, item.item_id, item.content, item.title, item.picture)
                    kept = kept.plus(again)
                except MrsError as error:
                    LOG.warning("the new item %s is not served any more: %s", item.item_id, error)
        return Served(bundle, kept, ContentEncoders(bundle), time.time())
