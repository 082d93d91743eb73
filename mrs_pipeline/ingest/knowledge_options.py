"""Settings of a knowledge graph: which attributes of the items it is made of, or which file of triples.

Only declarations, as in `options`; a file of triples is read by `triples`, the graph is built by `tables.knowledge`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mrs_pipeline.ingest.options import COLUMN_NAME

DECADE = "decade"
"""The relation between an item and the decade of its year."""


def _named_by_column(value: Any) -> Any:
    """`[genre, tag]` is short for `{genre: genre, tag: tag}`."""
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return {each: each for each in value}
    return value


_NAMED = BeforeValidator(_named_by_column, json_schema_input_type=list[str] | dict[str, str])


class KnowledgeOptions(BaseModel):
    """What is known of the items: either attributes of the catalogue or a file of triples."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    attributes: Annotated[dict[str, str], _NAMED] = Field(default_factory=dict)
    """Columns of the items as a list, or relation -> column (`pairing: harmonize`); each value becomes an entity."""
    decade: str | None = None
    """A column with a year: its decade becomes an entity by the relation `decade`."""
    separator: str = Field(default="|", min_length=1)
    """What stands between the values of one column; lists in Parquet or JSON arrive joined by `|`."""
    ignore: tuple[str, ...] = ()
    """Values that say nothing, e.g. `(no genres listed)`."""
    min_items: int = Field(default=2, ge=1)
    """Values that fewer items have are left out: what one item has alone joins it to no other."""
    triples: str | None = None
    """A file below `source.path` with the columns head, relation and tail, or RecBole's `.kg`; ids of items are told by
    `item_id`."""
    links: str | None = None
    """A file below `source.path`, such as RecBole's `.link`, with the columns item_id and entity_id: which entity of
    the triples each item is. With it, no other entity is taken for an item."""
    triple_columns: dict[Literal["head", "relation", "tail"], str] = Field(default_factory=dict)
    """Our name -> the file's name, where they differ."""

    @model_validator(mode="after")
    def _one_origin(self) -> "KnowledgeOptions":
        from_items = bool(self.attributes or self.decade)
        if from_items == (self.triples is not None):
            raise ValueError("knowledge needs either attributes (or decade) or triples, and not both")
        for name in ("triple_columns", "links"):
            if getattr(self, name) and self.triples is None:
                raise ValueError(f"knowledge.{name} goes with triples")
        return self

    @model_validator(mode="after")
    def _relations_have_names(self) -> "KnowledgeOptions":
        for name in self.attributes:
            if not COLUMN_NAME.fullmatch(name):
                raise ValueError(
                    f"knowledge.attributes: '{name}' cannot be a relation; use lower-case letters, digits and _, "
                    "and name the column after it (`pairing: harmonize`)"
                )
        if self.decade is not None and DECADE in self.attributes:
            raise ValueError(
                "knowledge.attributes: the relation 'decade' is already that of knowledge.decade"
            )
        return self

    @property
    def relations(self) -> dict[str, str]:
        """Relation -> column of the items, in order; none for a file of triples."""
        return {**self.attributes, **({DECADE: self.decade} if self.decade else {})}
