"""Quoting for SQL that is put together from names and paths. Values of rows are bound, never quoted."""


def identifier(name: str) -> str:
    """A column's or table's name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant, quoted: for places that take no bound parameter (COPY, CREATE VIEW, SET)."""
    return "'" + text.replace("'", "''") + "'"
