"""Small packages on the disk, and what an edit of their files does to a closure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mrs_pipeline.code.program import Program

ROOT = "shop.main:run"


@dataclass(frozen=True)
class Edit:
    """A replacement in one file; `old` occurs once. An empty `old` appends."""

    old: str
    new: str
    file: str = "main.py"

    def __str__(self) -> str:
        return f"{self.file}: {self.old!r} -> {self.new!r}"


@dataclass(frozen=True)
class Case:
    """A package, edits that its root's closure must see, and edits that it must not.

    `files` may leave out `__init__.py` files: folders get empty ones.
    """

    name: str
    files: Mapping[str, str]
    seen: tuple[Edit, ...] = ()
    unseen: tuple[Edit, ...] = ()
    stop: tuple[str, ...] = ()
    roots: tuple[str, ...] = (ROOT,)


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a package `shop` below a folder; its path."""
    package = folder / "shop"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for inner in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        if not (inner / "__init__.py").exists() and "data" not in inner.parts:
            (inner / "__init__.py").write_text("")
    return package


def program(package: Path) -> Program:
    """The package as it is now, and ours beside it."""
    return Program({"shop": package, "mrs_pipeline": Path(__file__).parents[2] / "mrs_pipeline"})


def digest(package: Path, case: Case) -> str:
    """Digest of the closure of the case's roots."""
    return program(package).closure(*case.roots, stop=case.stop).digest


def edited(package: Path, edit: Edit) -> str:
    """Make an edit; the text that the file had before."""
    path = package / edit.file
    before = path.read_text()
    if edit.old:
        assert before.count(edit.old) == 1, f"{edit} does not fit the file"
        path.write_text(before.replace(edit.old, edit.new))
    else:
        path.write_text(before + edit.new)
    return before


def check(folder: Path, case: Case) -> None:
    """Make each edit of a case alone, and fail where the closure sees it and should not, or the other way round."""
    package = write(folder, case.files)
    before = digest(package, case)
    for edit in (*case.seen, *case.unseen):
        text = edited(package, edit)
        assert (digest(package, case) != before) is (edit in case.seen), str(edit)
        (package / edit.file).write_text(text)
    assert digest(package, case) == before
