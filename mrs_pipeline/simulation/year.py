"""A simulated year from its first file to the comparison: two homes, one with accidents, one without."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.orchestration.daemon import running_daemon
from mrs_pipeline.promotion.decisions import PROMOTED, ROLLED_BACK, promotions
from mrs_pipeline.reporting.simulation_inputs import YearInputs
from mrs_pipeline.simulation.comparing import YearsCompared, compare_years
from mrs_pipeline.simulation.feeding import land_all, land_history, stock_up
from mrs_pipeline.simulation.mailbox import open_mailbox
from mrs_pipeline.simulation.playing import Player, bars
from mrs_pipeline.simulation.scratch import (
    environment,
    make_scratch,
    run_undisturbed,
    scratch_settings,
    working_in,
)
from mrs_pipeline.simulation.story import Story
from mrs_pipeline.storage.home import Home
from mrs_pipeline.stored.results import read_leaderboard
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.windows import scored_keys

_LOG: Final = logging.getLogger("mrs_pipeline")
PATIENCE_SECONDS: Final = 3600.0
"""Seconds without any event of the daemon after which a simulation is given up."""
_SCHEMA: Final = {"month": pl.String, "asset": pl.String, "same": pl.Boolean, "difference": pl.String}


def fed_months(config: DatasetConfig, number: int | None) -> list[str]:
    """The windows that are fed one by one: the first `number` of those that are scored and have closed; all if None.

    Raises:
        InputError: the dataset has no windows, or not so many.
    """
    keys = scored_keys(config.window, datetime.now(UTC)) if config.windowed else []
    if not keys:
        raise InputError(f"{config.name} is not cut in time: set `window:` in its defs.yaml.")
    if number is not None and number > len(keys):
        raise InputError(
            f"{config.name} has {len(keys)} windows with history, {keys[0]} to {keys[-1]}: give --months at most that."
        )
    return keys[:number]


def simulate(
    config: DatasetConfig, home: Home, story: Story, models: Sequence[str], folder: Path
) -> YearInputs:
    """Play a story in one new home, run the same months in another, and compare them.

    Args:
        config: the dataset; it must have windows.
        home: which its source is relative to; nothing in it is changed.
        story: months and accidents.
        models: which of the dataset's models.
        folder: an empty folder for both homes. Each grows as large as a run of the dataset; sources are linked.

    Raises:
        InputError: the dataset cannot be fed by month.
        DaemonError: the daemon ended, or did nothing for an hour.
    """
    settings = scratch_settings(config, story.months, models)
    stock = stock_up(config, home, story.months, folder / "files")
    eventful, undisturbed = (
        Stage(settings, make_scratch(settings, folder / name, home.models), story.months[-1])
        for name in ("eventful", "undisturbed")
    )
    land_history(stock, eventful.home)
    with open_mailbox() as mailbox, working_in(eventful.home):
        began = time.time()
        _LOG.info("%s: the year with accidents, by the daemon in %s", config.name, eventful.home.root)
        with running_daemon(
            eventful.home.root, config.name, environment(eventful.home), PATIENCE_SECONDS
        ) as daemon:
            player = Player(eventful, stock, daemon, mailbox, began)
            player.play(story)
            runs = bars(daemon.runs(), began)
        seconds = time.time() - began
    land_all(stock, undisturbed.home)
    _LOG.info("%s: the same months without accidents, by `mrs run` in %s", config.name, undisturbed.home.root)
    began = time.time()
    run_undisturbed(settings, undisturbed.home, story.months)
    decisions = promotions(eventful)
    return YearInputs(
        dataset=config.name,
        generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        months=story.months,
        models=tuple(models),
        happenings=player.happenings,
        runs=runs,
        made=_made(eventful),
        rows=_rows(eventful),
        board=read_leaderboard(eventful.lake, config.name, story.months),
        decisions=decisions,
        restored=_restored(decisions),
        compared=_frame(compare_years(eventful, undisturbed, story.months)),
        seconds=seconds,
        undisturbed_seconds=time.time() - began,
    )


def _made(stage: Stage) -> pl.DataFrame:
    """Asset and window -> how many runs made it."""
    scan = stage.lake.scan_all("lineage", "materializations", dataset=stage.config.name)
    with stage.lake.connect() as con:
        made: pl.DataFrame = con.sql(
            f'SELECT asset, "window", count(DISTINCT run) AS runs FROM {scan} GROUP BY ALL ORDER BY ALL'
        ).pl()
    return made


def _rows(stage: Stage) -> pl.DataFrame:
    """Window -> rows that landed, and rows of it and of its history that are in quarantine."""
    raw = stage.lake.scan_all("raw", "interactions", dataset=stage.config.name)
    quarantine = stage.lake.scan_all("core", "quarantine", dataset=stage.config.name)
    with stage.lake.connect() as con:
        rows: pl.DataFrame = con.sql(
            f'SELECT "window", landed, quarantined FROM (SELECT "window", count(*) AS landed FROM {raw} GROUP BY 1) '
            f'LEFT JOIN (SELECT "window", count(*) AS quarantined FROM {quarantine} GROUP BY 1) USING ("window") '
            "ORDER BY 1"
        ).pl()
    return rows


def _restored(decisions: pl.DataFrame) -> bool | None:
    """Whether each rollback gave back the weights of an earlier promotion, bit for bit; None without a rollback."""
    standing: list[str] = []
    outcomes = []
    for row in decisions.sort("decision").iter_rows(named=True):
        if row["outcome"] == PROMOTED:
            standing.append(row["weights_digest"])
        elif row["outcome"] == ROLLED_BACK:
            standing.pop()
            outcomes.append(row["weights_digest"] == standing[-1])
    return all(outcomes) if outcomes else None


def _frame(outcomes: Sequence[YearsCompared]) -> pl.DataFrame:
    rows = [
        {
            "month": each.month,
            "asset": str(each.found.node.asset),
            "same": each.found.same,
            "difference": "" if each.found.same else _difference(each),
        }
        for each in outcomes
    ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def _difference(pair: YearsCompared) -> str:
    found = pair.found
    digests = f"{found.recorded[:16]} with accidents, {found.again[:16]} without"
    largest = "" if found.difference is None else f"; largest difference {found.difference:g}"
    return "; ".join((f"{digests}{largest}", *pair.rows))
