"""The project's folder and the places under it. Only paths: nothing is read, made or deleted here."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrs_pipeline.documents import DocumentError, toml_file
from mrs_pipeline.errors import InputError

HOME_VARIABLE = "MRS_HOME"
STORE_VARIABLE = "MRS_STORE"
"""Names the object storage that results are published to, see `publication`."""


@dataclass(frozen=True)
class Home:
    """A project folder: what it configures and what its runs produce.

    Attributes:
        root: the folder that holds `pyproject.toml` or `dg.toml`.
        kept: where results lie instead of below the root: what a champion was promoted with (`promotion.keeping`).
    """

    root: Path
    kept: Path | None = None

    @property
    def data(self) -> Path:
        """All that runs produce except the weights of models as they are chosen."""
        return (self.kept or self.root) / "data"

    @property
    def lake(self) -> Path:
        """Parquet tables, see `lake.Lake`."""
        return self.data / "lake"

    @property
    def catalogue(self) -> Path:
        """The DuckDB file of views, see `catalogue`."""
        return self.data / "mrs.duckdb"

    @property
    def features(self) -> Path:
        """Feature matrices, see `artifacts.ArtifactStore`."""
        return self.data / "features"

    @property
    def graphs(self) -> Path:
        """Graphs of items and of users, see `artifacts.ArtifactStore`."""
        return self.data / "graphs"

    @property
    def pretrained(self) -> Path:
        """Item vectors of pretrainings, see `artifacts.ArtifactStore`."""
        return self.data / "pretrained"

    @property
    def raw_content(self) -> Path:
        """Decoded content for models that train an encoder, see `artifacts.ArtifactStore`."""
        return self.data / "raw_content"

    @property
    def tokens(self) -> Path:
        """Regions and words for models that attend to them, see `artifacts.ArtifactStore`."""
        return self.data / "tokens"

    @property
    def models(self) -> Path:
        """Weights of models as they were chosen on validation, see `artifacts.ArtifactStore`."""
        return (self.kept or self.root) / "models"

    @property
    def final(self) -> Path:
        """Weights of models trained again on all of the history, see `artifacts.ArtifactStore`."""
        return self.data / "final"

    @property
    def indexes(self) -> Path:
        """Indexes of item vectors, see `artifacts.ArtifactStore`."""
        return self.data / "indexes"

    @property
    def champions(self) -> Path:
        """All that promoted models need to be served, see `promotion.keeping`."""
        return self.data / "champions"

    @property
    def searches(self) -> Path:
        """Trials of searches for settings, see `trials`."""
        return self.data / "searches"

    @property
    def versions(self) -> Path:
        """What code versions stand for, see `versions.VersionStore`."""
        return self.data / "versions"

    @property
    def accelerators(self) -> Path:
        """Locks of the GPUs that steps of this project compute on."""
        return self.data / "accelerators"

    @property
    def reports(self) -> Path:
        """HTML reports and plots."""
        return self.data / "reports"


def find_home() -> Home:
    """The project that `MRS_HOME` names, or else the current directory.

    Raises:
        InputError: the folder is not a project.
    """
    root = Path(os.environ.get(HOME_VARIABLE) or Path.cwd()).expanduser().resolve()
    if not _is_project(root):
        raise InputError(
            f"{root} is not an mrs project (no dg.toml and no pyproject.toml with a [tool.dg] table): "
            f"change into one, set {HOME_VARIABLE}, or run `mrs init`."
        )
    return Home(root)


def _is_project(root: Path) -> bool:
    if (root / "dg.toml").is_file():
        return True
    return "dg" in project_tools(root)


def project_tools(root: Path) -> dict[str, Any]:
    """The `[tool]` tables of the folder's `pyproject.toml`; none where there is no such file.

    Raises:
        InputError: it is no TOML.
    """
    path = root / "pyproject.toml"
    try:
        tools = toml_file(path).get("tool")
    except FileNotFoundError:
        return {}
    except DocumentError as error:
        raise error.of(path, "correct that line") from error
    return tools if isinstance(tools, dict) else {}
