"""The command line in this process, a home in a temporary folder, and a small healthy folder of raw files."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import mrs_pipeline
from mrs_pipeline.cli.app import app

PROJECT = Path(mrs_pipeline.__file__).resolve().parent.parent
N_USERS, N_ITEMS, EACH = 40, 60, 12
N_ROWS = N_USERS * EACH
STRAY = "u1,nowhere,1700000000,5\n"
"""An interaction of an item that is not in the catalogue."""

COLOURS = ("red", "blue", "green", "brown", "white", "black")
SETTINGS = """\
type: mrs_pipeline.orchestration.Dataset
attributes:
  name: {name}
  source:
    path: {path}
    matrices: {{sound: sound.npy}}
  interactions: {{k_core: 2}}
  features:
    - {{modality: audio, encoder: identity, matrix: sound}}
  models:
    most_pop:
    mm_ease: {{memory_limit_gb: 3}}
  training: {{epochs: 2, threads: 1}}
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line that starts with `error:`."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("error: ")


@dataclass(frozen=True)
class Mrs:
    """`mrs`, called in this process from a folder."""

    root: Path

    def __call__(self, *arguments: str) -> Outcome:
        with pytest.MonkeyPatch.context() as patch:
            self._enter(patch)
            result: Result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def _enter(self, patch: pytest.MonkeyPatch) -> None:
        """What is the process's own and would be different in another one: restored afterwards."""
        for name in [name for name in sys.modules if name.split(".")[0] == "defs"]:
            patch.delitem(sys.modules, name)
        patch.chdir(self.root)
        patch.syspath_prepend(self.root)
        patch.setenv("MRS_HOME", str(self.root))
        patch.setenv("DAGSTER_HOME", str(self.root))

    def tables(self, dataset: str) -> set[str]:
        """`schema/name` of every table of which a dataset has a partition."""
        lake = self.root / "data" / "lake"
        return {"/".join(path.relative_to(lake).parts[:2]) for path in lake.glob(f"*/*/dataset={dataset}")}


def in_a_process(folder: Path, *arguments: str, **environment: str) -> Outcome:
    """`mrs` as a process of its own, started in a folder with nothing but these variables about homes."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("MRS_HOME", "DAGSTER_HOME")
    }
    done = subprocess.run(
        [sys.executable, "-c", "from mrs_pipeline.cli.app import main; main()", *arguments],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(PROJECT)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Shop:
    """A folder of raw files and the settings of its dataset in a home."""

    folder: Path
    defs: Path

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that must be there in one of the raw files."""
        replace(self.folder / name, old, new)

    def settings(self, old: str, new: str) -> None:
        """The same in the dataset's YAML."""
        replace(self.defs, old, new)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1))


def write_shop(folder: Path) -> None:
    """Two tastes, even and odd; items with a title, a text, a matrix row and, every third one, a picture."""
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True)
    rows = [
        {"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": 1_700_000_000 + 3600 * place, "rating": 5}
        for user in range(N_USERS)
        for place, item in enumerate(rng.choice(N_ITEMS, EACH, replace=False, p=_likings(user)))
    ]
    pl.DataFrame(rows).write_csv(folder / "interactions.csv")
    items = [
        {
            "item_id": f"i{item}",
            "title": f"Thing {item}",
            "description": " ".join(rng.choice(COLOURS, 3)),
            "image": f"images/{item}.png" if item % 3 == 0 else None,
        }
        for item in range(N_ITEMS)
    ]
    pl.DataFrame(items).write_csv(folder / "items.csv")
    np.save(folder / "sound.npy", rng.normal(size=(N_ITEMS, 6)).astype(np.float32))
    (folder / "images").mkdir()
    for item in range(0, N_ITEMS, 3):
        pixels = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{item}.png")


def _likings(user: int) -> np.ndarray:
    """[N_ITEMS] probabilities: nine in ten of an item of the user's own taste."""
    own = np.where(np.arange(N_ITEMS) % 2 == user % 2, 0.9, 0.1)
    return own / own.sum()


def add_shop(home: Path, name: str = "shop") -> Shop:
    """A healthy folder and its settings in a home that holds nothing else."""
    shop = Shop(home / "raw" / name, home / "defs" / name / "defs.yaml")
    write_shop(shop.folder)
    shop.defs.parent.mkdir(parents=True)
    shop.defs.write_text(SETTINGS.format(name=name, path=f"raw/{name}"))
    return shop


def make_home(root: Path) -> Mrs:
    """A home without the demo, which would only take time to load."""
    root.mkdir()
    mrs = Mrs(root)
    assert mrs("init").code == 0
    (root / "defs" / "demo" / "defs.yaml").unlink()
    return mrs
