"""What a person says about a folder at `mrs init`, where its names do not say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.ids import SPELLINGS, IdOptions
from mrs_pipeline.ingest.time_units import TimeUnit
from mrs_pipeline.schema import ITEM_ID, RATING, TIMESTAMP, USER_ID

NOTHING: Final = "none"
"""`--time-column none`: there is no such column, whatever a name says."""
_LITERAL: Final = "literal"


@dataclass(frozen=True)
class Overrides:
    """The options of `mrs init`.

    Attributes:
        item_fields: canonical name -> column of the items file.
        columns: names of the columns of interaction files without a header.
        items_header: the same for the items file.
        ids: words of `--ids`.
        features: file -> modality of the ready features in it.
        without: modalities that are left out.
        reader: `folder`, `mmrec`, or the name of an official layout.
        choices: what an official layout leaves open: name -> value.
    """

    user_column: str | None = None
    item_column: str | None = None
    time_column: str | None = None
    rating_column: str | None = None
    interactions: str | None = None
    items: str | None = None
    name: str | None = None
    item_fields: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[str] | None = None
    items_header: Sequence[str] | None = None
    encoding: str | None = None
    ids: Sequence[str] = ()
    time_unit: TimeUnit | None = None
    min_rating: float | None = None
    features: Mapping[str, str] = field(default_factory=dict)
    without: Sequence[str] = ()
    reader: str | None = None
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def given(self) -> dict[str, str]:
        """Canonical name -> column of the interactions, for those that are said to be there."""
        said = {
            USER_ID: self.user_column,
            ITEM_ID: self.item_column,
            TIMESTAMP: self.time_column,
            RATING: self.rating_column,
        }
        return {
            name: column for name, column in said.items() if column is not None and name not in self.absent
        }

    @property
    def absent(self) -> tuple[str, ...]:
        """Canonical names that are said not to be there."""
        said = {TIMESTAMP: self.time_column, RATING: self.rating_column}
        return tuple(name for name, column in said.items() if column == NOTHING)

    @property
    def id_options(self) -> dict[str, object]:
        """The `ids:` section that the words of `--ids` stand for.

        Raises:
            InputError: there is no such word.
        """
        unknown = [word for word in self.ids if word not in (*SPELLINGS, _LITERAL)]
        if unknown:
            raise InputError(f"--ids: '{unknown[0]}' is none of {', '.join((*SPELLINGS, _LITERAL))}")
        options: dict[str, object] = {word: True for word in SPELLINGS if word in self.ids}
        return options | ({"missing": []} if _LITERAL in self.ids else {})

    @property
    def id_rules(self) -> IdOptions:
        """The same as options that a reader follows."""
        return IdOptions.model_validate(self.id_options)
