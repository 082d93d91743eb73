"""What a layout is: a name, a note on its licence, how it is recognised, and how its files become tables.

Declarations only; what a `LayoutTable` says is carried out by `conversion`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.matrices import MatrixFile

if TYPE_CHECKING:
    from mrs_pipeline.ingest.layouts.workbench import Workbench

Choices = Mapping[str, str]
"""What a person has chosen where a layout leaves a choice: name -> value."""


@dataclass(frozen=True)
class LayoutTable:
    """A table that is made of some files.

    Attributes:
        entries: the files; the first one gives its name to what is said of the table's rows.
        select: gives the SELECT. For interactions: `user_id`, `item_id` and perhaps `timestamp`, `rating` and `split`,
            all as text; for items: `item_id` and any other columns. Rows come in the file's order.
    """

    entries: tuple[Entry, ...]
    select: Callable[["Workbench"], str]


@dataclass(frozen=True)
class Reading:
    """What a layout reads of a folder.

    Attributes:
        interactions: at least one table.
        items: the catalogue; None where the items are those of the interactions.
        media_folders: modality -> folder of files named by item id.
        matrices: ready features by name.
        numbered_items: whether item ids are the row numbers 0, 1, ... of the `.npy` matrices.
        rules: what the `interactions:` section of the settings must say; a rule of None is left out of it.
        knowledge: what the `knowledge:` section of the settings may say.
        windows: whether time may be cut into windows; not where the files are a given split.
        notes: what people should know of how the files are read, a sentence each.
    """

    interactions: tuple[LayoutTable, ...]
    items: LayoutTable | None = None
    media_folders: Mapping[str, str] = field(default_factory=dict)
    matrices: Mapping[str, MatrixFile] = field(default_factory=dict)
    numbered_items: bool = False
    rules: Mapping[str, Any] = field(default_factory=dict)
    knowledge: Mapping[str, str] = field(default_factory=dict)
    windows: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """One official layout.

    Attributes:
        name: as `--reader` and the settings call it.
        title: as its authors call it.
        licence: what its authors say of its use, in our words.
        recognise: the reason why a folder has this layout (`u.data and u.item`), None if it has not.
        read: what is read of a folder that has it; InputError where the files leave a choice that was not made.
        choices: choice -> its possible values, none listed where any is possible; empty where there is no choice.
        where: where the authors offer it, for people.
        on_request: whether it is only looked for when it is asked for by name, since nothing in its files is its own.
        reader: the reader of the settings.
    """

    name: str
    title: str
    licence: str
    where: str
    recognise: Callable[[Contents], str | None]
    read: Callable[[Contents, Choices], Reading]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_request: bool = False
    reader: str = "layout"
