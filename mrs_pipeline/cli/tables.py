"""How results look on a terminal: frames, origins and benches as Rich tables and trees. Nothing is read here."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from mrs_pipeline.cli.terminal import out
from mrs_pipeline.reporting.leaderboard import ONE_SEED
from mrs_pipeline.reporting.narrative import p_value, tuning_told
from mrs_pipeline.statistics import ALPHA
from mrs_pipeline.tasks.tracing import Origin

SHOWN_ROWS = 60
_LONGEST_TEXT = 60
_LONGEST_LIST = 6
_NARROWEST = 14
"""Characters a line that a column of texts needs to be read."""
_DIGITS = 12
_FORMULA = r"^[=+\-@\t\r]"
"""How a text begins that a spreadsheet would compute."""
_NUMBER = r"^[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?$"
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that a terminal would obey: all controls but tab and line feed."""


@dataclass(frozen=True)
class TextColumn:
    """A column as it is printed.

    Attributes:
        heading: its name.
        cells: its texts.
        right: whether they stand to the right, as numbers do.
        whole: whether they are neither broken nor cut; numbers never are.
    """

    heading: str
    cells: Sequence[str]
    right: bool = False
    whole: bool = False

    @property
    def needed(self) -> int:
        """Characters that the column takes at least."""
        lines = [line for cell in self.cells for line in cell.splitlines()]
        widest = max(map(cell_len, lines), default=0)
        words = max(map(cell_len, self.heading.split()), default=0)
        return max(words, widest if self.whole or self.right else min(widest, _NARROWEST))


def fitted(
    columns: Sequence[TextColumn],
    title: str | None = None,
    *,
    dispensable: Sequence[str] | None = None,
    faint: Iterable[int] = (),
    width: int | None = None,
) -> Table:
    """A table no wider than the terminal: columns that have no room are left out and named below it.

    Args:
        columns: in their order.
        title: above the table.
        dispensable: headings of those that may be left out, the first first; by default all but the first two columns,
            from the right.
        faint: numbers of rows that are printed faintly.
        width: characters a line; the terminal's if None.
    """
    room = out.width if width is None else width
    order = [column.heading for column in reversed(columns[2:])] if dispensable is None else list(dispensable)
    shown, left_out = list(columns), []
    while order and sum(column.needed + 3 for column in shown) + 1 > room:
        left_out.append(order.pop(0))
        shown = [column for column in shown if column.heading not in left_out]
    table = Table(title=title, title_justify="left", caption_justify="left")
    # a title is broken at the table's width
    table.min_width = min(Text.from_markup(title or "").cell_len, room)
    for column in shown:
        side: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(
            escape(column.heading),
            justify=side,
            no_wrap=column.whole or column.right,
            min_width=min(column.needed, room),
        )
    pale = set(faint)
    for number, row in enumerate(zip(*(column.cells for column in shown), strict=True)):
        table.add_row(*map(escape, row), style="dim" if number in pale else None)
    if left_out:
        names = [column.heading for column in columns if column.heading in left_out]
        table.caption = f"no room for {_counted(names)}; --json prints all"
    return table


def _counted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LONGEST_LIST} more columns" if len(names) > _LONGEST_LIST else ""
    return escape(", ".join(names[:_LONGEST_LIST]) + more)


def frame_table(
    frame: pl.DataFrame,
    title: str | None = None,
    *,
    whole: Sequence[str] = (),
    most: int | None = SHOWN_ROWS,
    width: int | None = None,
) -> Table:
    """The first `most` rows of a frame, all if None; numbers to the right, texts in `whole` neither broken nor cut."""
    shown = frame if most is None else frame.head(most)
    columns = [
        TextColumn(
            name,
            [str(value) if name in whole else cell_text(value) for value in shown[name].to_list()],
            right=dtype.is_numeric(),
            whole=name in whole,
        )
        for name, dtype in frame.schema.items()
    ]
    table = fitted(columns, title, width=width)
    if shown.height < frame.height:
        counted = f"{shown.height} of {frame.height:,} rows"
        table.caption = f"{counted}; {table.caption}" if table.caption else counted
    return table


def cell_text(value: Any) -> str:
    """One value for people: nothing for NULL, six digits of a number, the beginning of what is long."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:.6g}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case list():
            more = f", … {len(value)} in all" if len(value) > _LONGEST_LIST else ""
            return f"[{', '.join(map(cell_text, value[:_LONGEST_LIST]))}{more}]"
        case _:
            text = _CONTROLS.sub(lambda found: f"\\x{ord(found.group()):02x}", str(value))
            return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def csv_text(frame: pl.DataFrame, *, raw: bool = False) -> str:
    """A frame as CSV; lists become JSON-like text, since CSV has no lists.

    Args:
        frame: the rows.
        raw: texts as they are. Otherwise one that a spreadsheet would take for a formula gets an apostrophe before it,
            as spreadsheets themselves mark a text; numbers keep their sign.
    """
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    texts = (
        pl.Series(name, [None if row is None else str(row) for row in frame[name].to_list()])
        for name in nested
    )
    shown = frame.with_columns(*texts)
    if not raw:
        shown = shown.with_columns(
            _harmless(name) for name, kind in shown.schema.items() if kind == pl.String
        )
        shown = shown.rename({name: _harmless_name(name) for name in shown.columns})
    return shown.write_csv()


def _harmless(column: str) -> pl.Expr:
    text = pl.col(column)
    formula = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return pl.when(formula).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).alias(column)


def _harmless_name(name: str) -> str:
    return f"'{name}" if re.match(_FORMULA, name) else name


_DISPENSABLE = (
    "trials",
    "MB above data",
    "chance",
    "to leader",
    "ndcg@20",
    "s",
    "p",
    "cold",
    "95 % interval",
)
"""Columns of the leaderboard that a narrow terminal does without, the first first."""


def leaderboard_table(board: pl.DataFrame, dataset: str, *, width: int | None = None) -> Table:
    """The columns of a leaderboard that a terminal has room for; `=` is not to be told apart from the leader."""
    with_cold = set(board.drop_nulls("cold_value")["window"]) if "cold_value" in board.columns else set()
    rows = board.to_dicts()
    windows = {row["window"] for row in rows}
    made = {
        "window": [row["window"] for row in rows] if len(windows) > 1 else [],
        "rank": [_rank(row) for row in rows],
        "model": [row["model"] for row in rows],
        "recall@20": [_number(row["recall@20"]) for row in rows],
        "95 % interval": [
            f"{_number(row['recall@20_ci_low'])} to {_number(row['recall@20_ci_high'])}" for row in rows
        ],
        "to leader": [
            "" if row["best_difference"] is None else f"{row['best_difference']:+.4f}" for row in rows
        ],
        "p": ["" if row["best_p"] is None else p_value(row["best_p"]) for row in rows],
        "ndcg@20": [_number(row["ndcg@20"]) for row in rows],
        "cold": [_cold(row, row["window"] in with_cold) for row in rows],
        "chance": [_number(row.get("cold_chance")) for row in rows],
        "trials": [_number(row["trials"], 0) for row in rows],
        "s": [_number(row["seconds"], 1) for row in rows],
        "MB above data": [_number(row["peak_memory_mb"], 0) for row in rows],
    }
    columns = [
        TextColumn(name, cells, right=name not in ("window", "rank", "model"), whole=True)
        for name, cells in made.items()
        if any(cells) or name == "recall@20"
    ]
    of = f", window {windows.pop()}" if len(windows) == 1 else ""
    return fitted(
        columns,
        escape(f"{dataset}{of}: means over seeds, 95 % intervals"),
        dispensable=_DISPENSABLE,
        faint=[number for number, row in enumerate(rows) if row["stale"]],
        width=width,
    )


def _rank(row: Mapping[str, Any]) -> str:
    if row["stale"]:
        return "stale"
    return f"{row['rank']}{' =' if row['best_p'] is not None and row['best_p'] >= ALPHA else ''}"


def _cold(row: Mapping[str, Any], measured: bool) -> str:
    """The value on cold items; empty where nobody's was measured."""
    if row.get("cold_value") is not None:
        return f"{row['cold_value']:.4f}"
    return "cannot rank" if measured and not row["stale"] else ""


def leaderboard_notes(board: pl.DataFrame, dataset: str) -> list[str]:
    """What has to be known to read the ranks: ties, stale rows, models of one seed, uneven searches."""
    ranked = board.drop_nulls("rank")
    notes = []
    if "cold_value" in board.columns:
        seen = board.drop_nulls("cold_value").unique("window", maintain_order=True)
        notes += [
            f"cold, {row['window']}: {row['cold_metric']} of {row['cold_users']} users among the {row['cold_items']} "
            "items without an event in training; chance is what a random order finds"
            for row in seen.to_dicts()
        ]
    if (ranked["best_p"] >= ALPHA).any():
        notes.append(
            "=  not to be told apart from the leader on the same users: p, adjusted for all models, is .05 or more"
        )
    stale = board.filter("stale")
    if len(stale):
        windows = ",".join(stale["window"].unique().sort())
        notes.append(
            "stale: measured on other data than the window's of today, so neither ranked nor tested; "
            f"`mrs run {dataset} --window {windows}` measures it again"
        )
    once = ranked.filter(interval_over=ONE_SEED)["model"].unique(maintain_order=True)
    if len(once):
        notes.append(
            f"intervals and p cover users alone, not luck in training, for {', '.join(once)}: one seed"
        )
    last = ranked.filter(pl.col("window") == pl.col("window").max())
    return [note for note in (*notes, tuning_told(last.to_dicts())) if note]


def bench_table(rows: pl.DataFrame, title: str) -> Table:
    """Seconds and memory, each beside the peer's."""
    cells = [_bench_row(row) for row in rows.to_dicts()]
    columns = [
        TextColumn(name, [row[name] for row in cells], right=name not in ("dataset", "model"), whole=True)
        for name in (cells[0] if cells else ())
    ]
    return fitted(columns, title)


def _bench_row(row: Mapping[str, Any]) -> dict[str, str]:
    epoch, evaluation = row["seconds_per_epoch"], row["seconds_per_evaluation"]
    peers = row["peer_seconds_per_epoch"], row["peer_seconds_per_evaluation"]
    return {
        "dataset": row["dataset"],
        "model": row["model"],
        "s / epoch": _number(epoch, 3),
        "peer's": _number(peers[0], 2),
        "share": _share(epoch, peers[0]),
        "s / evaluation": _number(evaluation, 3),
        "its peer's": _number(peers[1], 2),
        "its share": _share(evaluation, peers[1]),
        "MB above data": _number(row.get("peak_memory_mb"), 0),
        "process MB": _number(row.get("process_memory_mb"), 0),
        "peer's MB": _number(row.get("peer_peak_memory_mb"), 0),
    }


def experiment_table(rows: pl.DataFrame, title: str) -> Table:
    """The arms of an experiment, each held against the control."""
    cells = [_arm_row(row) for row in rows.to_dicts()]
    columns = [
        TextColumn(name, [row[name] for row in cells], right=name != "arm", whole=True)
        for name in (cells[0] if cells else ())
    ]
    return fitted(columns, title)


def _arm_row(row: Mapping[str, Any]) -> dict[str, str]:
    whole, difference = row["part"] == "whole", row["difference"]
    return {
        "arm": row["arm"] if whole else f"  {row['part']} alone",
        row["metric"]: _number(row["value"]),
        "against control": "control" if difference is None else f"{difference:+.4f}",
        "p": _number(row["p"], 3),
        "over seeds": _number(row["spread"]),
        "cold": _number(row["cold"]),
        "seconds": _number(row["seconds"] if whole else None, 1),
        "MB above data": _number(row["peak_memory_mb"] if whole else None, 0),
    }


def origin_data(origin: Origin) -> dict[str, Any]:
    """The same as plain data: each origin once under its name and digest, inputs by these."""
    found: dict[str, Any] = {}
    waiting = [origin]
    while waiting:
        each = waiting.pop()
        key = f"{each.name}@{each.digest}"
        if key not in found:
            found[key] = {
                "name": each.name,
                "digest": each.digest,
                "made": None if each.made is None else asdict(each.made),
                "inputs": [f"{part.name}@{part.digest}" for part in each.inputs],
            }
            waiting += each.inputs
    return {"asset": f"{origin.name}@{origin.digest}", "origins": found}


def origin_tree(origin: Origin) -> Tree:
    """An asset with all that it was made from; what stands there twice is spelt out once."""
    tree = Tree(_label(origin))
    _grow(tree, origin.inputs, {id(origin)})
    return tree


def _grow(tree: Tree, inputs: Sequence[Origin], shown: set[int]) -> None:
    again = [each for each in inputs if id(each) in shown and each.made is None]
    for each in inputs:
        if id(each) in shown:
            if each.made:
                tree.add(f"{_name(each)} [dim](above)[/]")
            continue
        shown.add(id(each))
        _grow(tree.add(_label(each)), each.inputs, shown)
    if again:
        names = escape(again[0].name) if len(again) == 1 else f"{len(again)} files"
        tree.add(f"{names} [dim](above)[/]")


def _label(origin: Origin) -> str:
    digest = origin.digest[:_DIGITS]
    if origin.made is None:
        return f"{_name(origin)} {digest}"
    made = origin.made
    commit = f", commit {made.git_commit[:8]}{'+' * made.git_commit.endswith('+')}" if made.git_commit else ""
    facts = (
        f"{made.made_at:%Y-%m-%d %H:%M:%S} UTC by run {made.run[:8]}, code {made.code_version[:8]}{commit}"
    )
    return f"{_name(origin)} {digest} [dim]{escape(facts)}[/]"


def _name(origin: Origin) -> str:
    window = f" {origin.made.window}" if origin.made else ""
    return f"[bold]{escape(origin.name + window)}[/]"


def _share(own: float, peer: float | None) -> str:
    return "" if peer is None else f"{own / peer:.0%}"


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def save_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as Parquet or CSV, as the name ends; the file appears when it is whole.

    Raises:
        InputError: it ends otherwise.
    """
    from mrs_pipeline.errors import InputError

    kind = path.suffix.lower()
    if kind not in {".parquet", ".csv"}:
        raise InputError(f"{path} ends neither in .parquet nor in .csv; name it so")
    partial = path.with_name(f".{path.name}.partial")
    frame.write_parquet(partial) if kind == ".parquet" else partial.write_text(csv_text(frame, raw=False))
    partial.replace(path)
