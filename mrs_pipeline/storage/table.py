"""The name of a table's partition, and the manifest that each written partition carries.

Only names and records. Reading and writing the files is `lake`; what a table's columns mean is `tables`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mrs_pipeline.documents import json_object
from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import DATASET, MODEL, SEED, WINDOW
from mrs_pipeline.storage.provenance import Provenance

_KEY_ORDER = (DATASET, WINDOW, MODEL, SEED)
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def is_safe_name(text: str) -> bool:
    """Whether a text can name a folder: no separators, no `=`, no hidden or parent folder."""
    return _SAFE.fullmatch(text) is not None


@dataclass(frozen=True, order=True)
class Table:
    """The name of one partition of one table. Build it with `Table.of`, which checks and orders the keys."""

    schema: str
    name: str
    keys: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, schema: str, name: str, **keys: str | int) -> "Table":
        """Name a partition; keys come in one order: dataset, window, model, seed, then others by name.

        Raises:
            InputError: a name or value could not be a folder's name, or a seed is not a whole number.
        """
        for part in (schema, name, *keys, *(str(value) for value in keys.values())):
            if not is_safe_name(part):
                raise InputError(
                    f"{part!r} cannot name a table or partition: use up to 200 letters, digits, '.', '_' and "
                    "'-', beginning with a letter or digit."
                )
        if not str(keys.get(SEED, 0)).isdigit():
            raise InputError(f"seed {keys[SEED]!r} must be a whole number that is not negative.")
        ordered = sorted(keys, key=lambda key: (_key_rank(key), key))
        return cls(schema, name, tuple((key, str(keys[key])) for key in ordered))

    @property
    def path(self) -> str:
        """`schema/name`, the table's name in provenance records and messages."""
        return f"{self.schema}/{self.name}"

    def __str__(self) -> str:
        return f"{self.path} [{', '.join(f'{key}={value}' for key, value in self.keys)}]"


@dataclass(frozen=True)
class TableManifest:
    """What a partition holds and what made it.

    Attributes:
        table: the partition.
        digest: content digest, independent of the order of rows.
        rows: number of rows.
        columns: name -> DuckDB type, in order.
        provenance: code and inputs that made it.
    """

    table: Table
    digest: str
    rows: int
    columns: Mapping[str, str]
    provenance: Provenance

    def to_json(self) -> str:
        """The text that the Parquet file carries."""
        record = {
            "schema": self.table.schema,
            "name": self.table.name,
            "keys": dict(self.table.keys),
            "digest": self.digest,
            "rows": self.rows,
            "columns": dict(self.columns),
            "provenance": self.provenance.to_json(),
        }
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str) -> "TableManifest":
        """Read what `to_json` wrote."""
        record = json_object(text)
        return cls(
            table=Table.of(record["schema"], record["name"], **record["keys"]),
            digest=record["digest"],
            rows=record["rows"],
            columns=record["columns"],
            provenance=Provenance.from_json(record["provenance"]),
        )


def _key_rank(key: str) -> int:
    return _KEY_ORDER.index(key) if key in _KEY_ORDER else len(_KEY_ORDER)
