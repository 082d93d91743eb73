"""The catalogue of a window as serving needs it: numbers of ids, titles, pictures, attributes, filters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.tables.items import ITEMS
from mrs_pipeline.types import BoolArray, IntArray


class NotThereError(InputError):
    """What is asked for is not there: an item, a user, an attribute, a content."""


@dataclass(frozen=True)
class Filter:
    """Which items a list may hold.

    Attributes:
        exclude: ids that it may not; unknown ones are none of it anyway.
        available: ids that alone it may hold; None for all.
        where: attribute -> the value that an item must have, compared as text.
    """

    exclude: Sequence[str] = ()
    available: Sequence[str] | None = None
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shelf:
    """The items of one window.

    Attributes:
        items: `core.items` in the order of dense numbers.
        root: the folder that pictures are relative to.
    """

    items: pl.DataFrame
    root: Path

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def ids(self) -> list[str]:
        """[I] the ids."""
        return [str(each) for each in self.items["item_id"]]

    @cached_property
    def titles(self) -> list[str | None]:
        """[I] the titles; None where the catalogue has none."""
        return [str(each) if each else None for each in self.items["title"]]

    @cached_property
    def places(self) -> dict[str, int]:
        """Id -> dense number."""
        return {name: place for place, name in enumerate(self.ids)}

    @cached_property
    def attributes(self) -> list[str]:
        """Columns of the catalogue that say more than the usual: what `where` may name."""
        return [name for name in self.items.columns if name not in ITEMS.columns]

    def number(self, item_id: str) -> int:
        """The dense number of an item.

        Raises:
            NotThereError: there is no such item.
        """
        if item_id not in self.places:
            raise NotThereError(
                f"there is no item '{item_id}'; items are called like {', '.join(self.ids[:3])}"
            )
        return self.places[item_id]

    def numbers(self, item_ids: Sequence[str]) -> IntArray:
        """[n] the numbers of items, each known; InputError names the first that is not."""
        return np.array([self.number(each) for each in item_ids], dtype=np.int64)

    @cached_property
    def has_picture(self) -> list[bool]:
        """[I] whether the catalogue names a picture."""
        return [bool(each) for each in self.items["image"]]

    def picture(self, item: int) -> str | None:
        """The relative path of an item's picture; None where it has none."""
        path = self.items["image"][item]
        return str(path) if path else None

    def allowed(self, chosen: Filter) -> BoolArray | None:
        """[I] bool items that pass; None where all do.

        Raises:
            NotThereError: an attribute that the catalogue does not have.
        """
        if not chosen.exclude and chosen.available is None and not chosen.where:
            return None
        passing = np.ones(len(self), dtype=np.bool_)
        if chosen.available is not None:
            passing[:] = False
            passing[[self.places[each] for each in chosen.available if each in self.places]] = True
        passing[[self.places[each] for each in chosen.exclude if each in self.places]] = False
        for name, value in chosen.where.items():
            if name not in self.attributes:
                known = f"it has {', '.join(self.attributes)}" if self.attributes else "it has none"
                raise NotThereError(f"the catalogue has no attribute '{name}'; {known}")
            passing &= (self.items[name].cast(pl.String) == value).fill_null(False).to_numpy()
        return passing
