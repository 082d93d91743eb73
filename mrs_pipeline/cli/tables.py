"""How results look on a terminal: frames, origins and benches as Rich tables and trees. Nothing is read here."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mrs_pipeline.reporting.leaderboard import ONE_SEED
from mrs_pipeline.reporting.narrative import p_value, tuning_told
from mrs_pipeline.statistics import ALPHA
from mrs_pipeline.tasks.tracing import Origin

SHOWN_ROWS = 60
_LONGEST_TEXT = 60
_LONGEST_LIST = 6
_DIGITS = 12
_FORMULA = r"^[=+\-@\t\r]"
"""How a text begins that a spreadsheet would compute."""
_NUMBER = r"^[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?$"
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that a terminal would obey: all controls but tab and line feed."""


def frame_table(
    frame: pl.DataFrame, title: str | None = None, *, whole: Sequence[str] = (), most: int | None = SHOWN_ROWS
) -> Table:
    """The first `most` rows of a frame, all if None; numbers to the right, texts in `whole` neither broken nor cut."""
    shown = frame if most is None else frame.head(most)
    table = Table(title=title, title_justify="left")
    for name, dtype in frame.schema.items():
        side: Literal["left", "right"] = "right" if dtype.is_numeric() else "left"
        table.add_column(escape(name), justify=side, no_wrap=name in whole)
    for row in shown.iter_rows(named=True):
        cells = (str(value) if name in whole else cell_text(value) for name, value in row.items())
        table.add_row(*(escape(cell) for cell in cells))
    if shown.height < frame.height:
        table.caption = f"{shown.height} of {frame.height:,} rows"
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


def leaderboard_table(board: pl.DataFrame, title: str) -> Table:
    """The columns of a leaderboard that a terminal has room for; `=` is not to be told apart from the leader."""
    table = Table(title=title, title_justify="left")
    for name in ("window", "rank", "model"):
        table.add_column(name)
    for name in (
        "recall@20",
        "95 % interval",
        "to leader",
        "p",
        "ndcg@20",
        "cold",
        "chance",
        "trials",
        "s",
        "MB above data",
    ):
        table.add_column(name, justify="right")
    with_cold = set(board.drop_nulls("cold_value")["window"]) if "cold_value" in board.columns else set()
    for row in board.iter_rows(named=True):
        stale, difference, p = row["stale"], row["best_difference"], row["best_p"]
        table.add_row(
            row["window"],
            "stale" if stale else f"{row['rank']}{' =' if p is not None and p >= ALPHA else ''}",
            row["model"],
            _number(row["recall@20"]),
            f"{_number(row['recall@20_ci_low'])} to {_number(row['recall@20_ci_high'])}",
            "" if difference is None else f"{difference:+.4f}",
            "" if p is None else p_value(p),
            _number(row["ndcg@20"]),
            _cold(row, row["window"] in with_cold),
            _number(row.get("cold_chance")),
            _number(row["trials"], 0),
            _number(row["seconds"], 1),
            _number(row["peak_memory_mb"], 0),
            style="dim" if stale else None,
        )
    return table


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
    table = Table(title=title, title_justify="left")
    table.add_column("dataset")
    table.add_column("model")
    for name in (
        "s / epoch",
        "peer",
        "share",
        "s / evaluation",
        "peer",
        "share",
        "MB above data",
        "process MB",
        "peer",
    ):
        table.add_column(name, justify="right")
    for row in rows.iter_rows(named=True):
        epoch, evaluation = row["seconds_per_epoch"], row["seconds_per_evaluation"]
        peers = row["peer_seconds_per_epoch"], row["peer_seconds_per_evaluation"]
        table.add_row(
            row["dataset"],
            row["model"],
            *(_number(epoch, 3), _number(peers[0], 2), _share(epoch, peers[0])),
            *(_number(evaluation, 3), _number(peers[1], 2), _share(evaluation, peers[1])),
            *(_number(row.get(f"{whose}_memory_mb"), 0) for whose in ("peak", "process", "peer_peak")),
        )
    return table


def experiment_table(rows: pl.DataFrame, title: str) -> Table:
    """The arms of an experiment, each held against the control."""
    table = Table(title=title, title_justify="left")
    table.add_column("arm")
    for name in (rows["metric"][0], "over seeds", "cold", "against control", "p", "seconds", "MB above data"):
        table.add_column(name, justify="right")
    for row in rows.iter_rows(named=True):
        whole = row["part"] == "whole"
        difference = row["difference"]
        table.add_row(
            escape(row["arm"] if whole else f"  {row['part']} alone"),
            *(_number(row[name]) for name in ("value", "spread", "cold")),
            "control" if difference is None else f"{difference:+.4f}",
            _number(row["p"], 3),
            _number(row["seconds"] if whole else None, 1),
            _number(row["peak_memory_mb"] if whole else None, 0),
        )
    return table


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
