"""A folder of logs to which everything happens that can happen to files, and a home that follows it by looking."""

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.plan import plan
from mrs_pipeline.stages.ingest import forget_source
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.currency import is_current, keep_version, provenance_of, refuse_stale
from mrs_pipeline.tasks.seen_files import Memory
from mrs_pipeline.tasks.task import Stage, Task
from mrs_pipeline.tasks.watching import Look, look_at

WINDOWS = tuple(f"2024-{month:02}" for month in range(1, 5))
SCORED = WINDOWS[2:]
Contents = dict[str, list[tuple[object, ...]]]
"""Table and window -> its rows, in their order."""
SETTLE = 30.0
TICK = 60.0
_ALWAYS = "f000.csv"
_EPOCH = 1_700_000_000.0
_TABLES = ("users", "items", "interactions", "quarantine")


def settings(folder: Path) -> DatasetConfig:
    """A shop of four months, two of which are scored."""
    return DatasetConfig.model_validate(
        {
            "name": "shop",
            "source": {"path": str(folder), "interactions": "logs"},
            "window": {"every": "month", "start": WINDOWS[0], "end": WINDOWS[-1], "score_from": SCORED[0]},
            "models": {"most_pop": None},
        }
    )


class Folder:
    """The source's folder, its own clock, and what can happen to the files in it."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.logs = root / "logs"
        self.logs.mkdir(parents=True)
        self.random = random.Random(seed)
        self.now = _EPOCH
        self.number = 0
        self.write_items(12)
        self._write(self.logs / _ALWAYS, self._rows([WINDOWS[0]] * 3))
        self.land()

    def files(self) -> list[Path]:
        """The logs that something can happen to: one stays, so that there is always history."""
        return sorted(path for path in self.logs.iterdir() if path.name != _ALWAYS)

    def happen(self) -> str:
        """Let one thing happen; its name."""
        things: Sequence[Callable[[], None]] = (
            self.land,
            self.land_late,
            self.grow,
            self.grow_half_a_line,
            self.truncate,
            self.shorten,
            self.rename,
            self.delete,
            self.delete,
            self.replace,
            self.touch,
            self.empty,
            self.corrupt,
            self.change_items,
        )
        self.now += self.random.choice((1.0, 20.0, 200.0))
        thing = self.random.choice(things)
        thing()
        return thing.__name__

    def land(self) -> None:
        """A new file of one month, or of two."""
        self.number += 1
        suffix = self.random.choice(("csv", "jsonl", "parquet"))
        months = self.random.sample(WINDOWS, self.random.choice((1, 1, 2)))
        self._write(self.logs / f"f{self.number:03}.{suffix}", self._rows(months))

    def land_late(self) -> None:
        """A file with rows before the first window, after the last one, and without a time."""
        self.number += 1
        rows = self._rows([self.random.choice(WINDOWS)])
        odd = self.random.choice(("2023-05-05 00:00:00", "2024-11-11 00:00:00", ""))
        self._write(self.logs / f"f{self.number:03}.csv", [*rows, ("u1", "i1", odd)])

    def grow(self) -> None:
        """Whole lines at the end of a text."""
        path = self._text()
        if path is not None:
            lines = "".join(f"{user},{item},{time}\n" for user, item, time in self._rows(WINDOWS[-2:]))
            self._append(path, lines)

    def grow_half_a_line(self) -> None:
        """A line whose rest is still to come; `2024` alone would be read as a time in 1970."""
        path = self._text()
        if path is not None:
            self._append(path, "u2,i2,2024")
            self._append(
                path, f"-{self.random.randint(1, 4):02}-15 10:00:00\n", later=self.random.choice((0.5, 100.0))
            )

    def truncate(self) -> None:
        """A text cut off somewhere, mostly in the middle of a line."""
        path = self._text()
        if path is not None:
            path.write_bytes(path.read_bytes()[: self.random.randint(1, max(1, path.stat().st_size - 1))])
            self._date(path)

    def shorten(self) -> None:
        """The last row of a text removed."""
        path = self._text()
        if path is not None:
            path.write_text(
                "".join(path.read_text(encoding="utf-8", errors="replace").splitlines(True)[:-1] or ["\n"])
            )
            self._date(path)

    def rename(self) -> None:
        """Another name, with the time that the file had."""
        path = self._any()
        if path is not None:
            self.number += 1
            path.rename(self.logs / f"f{self.number:03}{path.suffix}")

    def delete(self) -> None:
        """Gone."""
        path = self._any()
        if path is not None:
            path.unlink()

    def replace(self) -> None:
        """Other rows, perhaps of other months, put in place at once."""
        path = self._any()
        if path is not None:
            temporary = self.root / f"new{path.suffix}"
            self._write(temporary, self._rows(self.random.sample(WINDOWS, 2)))
            temporary.replace(path)

    def touch(self) -> None:
        """The same content at another time."""
        path = self._any()
        if path is not None:
            self._date(path)

    def empty(self) -> None:
        """No byte."""
        path = self._any()
        if path is not None:
            path.write_bytes(b"")
            self._date(path)

    def corrupt(self) -> None:
        """Bytes that are neither text nor Parquet."""
        path = self._any()
        if path is not None:
            path.write_bytes(b"\xff\x00\xfe broken" * 3)
            self._date(path)

    def change_items(self) -> None:
        """Another catalogue."""
        self.write_items(self.random.randint(8, 14))

    def write_items(self, count: int) -> None:
        """A catalogue of so many items."""
        path = self.root / "items.csv"
        lines = "".join(f"i{number},title {self.random.randint(1, 9)}\n" for number in range(count))
        path.write_text(f"item_id,title\n{lines}")
        self._date(path)

    def _rows(self, months: Sequence[str]) -> list[tuple[str, str, str]]:
        return [
            (
                f"u{self.random.randint(1, 4)}",
                f"i{self.random.randint(0, 13)}",
                f"{month}-{self.random.randint(1, 28):02} {self.random.randint(0, 23):02}:00:00",
            )
            for month in months
            for _ in range(self.random.randint(1, 4))
        ]

    def _write(self, path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
        frame = pl.DataFrame(rows, ["user_id", "item_id", "timestamp"], orient="row")
        if path.suffix == ".csv":
            frame.write_csv(path)
        elif path.suffix == ".jsonl":
            frame.write_ndjson(path)
        else:
            frame.write_parquet(path)
        self._date(path)

    def _append(self, path: Path, text: str, later: float = 0.0) -> None:
        self.now += later
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
        self._date(path)

    def _date(self, path: Path) -> None:
        os.utime(path, (self.now, self.now))

    def _any(self) -> Path | None:
        return self.random.choice(self.files()) if self.files() else None

    def _text(self) -> Path | None:
        texts = [path for path in self.files() if path.suffix == ".csv"]
        return self.random.choice(texts) if texts else None


class Follower:
    """A home whose tables follow a folder: looks as the sensor does, and runs what it asks for as its jobs do."""

    def __init__(self, root: Path, folder: Folder) -> None:
        self.stage = Stage(settings(folder.root), Home(root))
        self.folder = folder
        self.memory = Memory()
        self.queue: list[str] = []

    def look(self) -> Look:
        """One tick; what it asks for joins the queue."""
        self.memory = Memory.parse(self.memory.model_dump_json(exclude_defaults=True))
        found = look_at(self.stage, self.memory, SETTLE, self.folder.now)
        self.memory = found.memory
        self.queue += found.due
        return found

    def work(self, most: int) -> None:
        """Run the first of the queue."""
        for window in self.queue[:most]:
            run(self.stage.at(window))
        del self.queue[:most]

    def come_to_rest(self) -> None:
        """Tick and run until nothing is due."""
        for _ in range(12):
            self.folder.now += TICK
            found = self.look()
            self.work(len(self.queue))
            if not found.due and not found.memory.waiting:
                return
        raise AssertionError(f"still due: {dict(found.due)}, waiting: {found.memory.waiting}")

    def contents(self) -> Contents:
        """Rows of every raw and core table; of raw windows without any row nothing."""
        return contents(self.stage)


def run(stage: Stage) -> list[str]:
    """What a run of a window does up to the core tables: each task where it is due, none below one that failed."""
    tasks = {task.name: task for task in plan(stage.config)}
    names = ["raw/items", "raw/interactions", *(["core/tables"] if stage.window in SCORED else [])]
    faults = []
    for name in names:
        try:
            _perform(stage, tasks[name], {output: task for task in tasks.values() for output in task.outputs})
        except InputError as fault:
            faults.append(str(fault))
            if name != "raw/items":
                break
    forget_source()
    return faults


def _perform(stage: Stage, task: Task, tasks: dict[object, Task]) -> None:
    place = stage if task.windowed else Stage(stage.config, stage.home)
    if is_current(place, task):
        return
    if task.windowed:
        refuse_stale(place, task, tasks)  # type: ignore[arg-type]
    keep_version(place, task)
    task.run(place, task, provenance_of(place, task))


def contents(stage: Stage) -> Contents:
    """Rows of the raw tables and of the core tables that there are, in their order."""
    tables = {f"raw/interactions@{window}": ("raw", "interactions", window) for window in WINDOWS}
    tables |= {f"core/{name}@{window}": ("core", name, window) for window in SCORED for name in _TABLES}
    found = {}
    for name, (schema, table, window) in tables.items():
        place = stage.table(schema, table, window=window)
        if stage.lake.exists(place):
            rows = stage.lake.read(place).rows()
            if rows or schema == "core":
                found[name] = rows
    return found
