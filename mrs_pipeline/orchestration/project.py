"""The datasets of a home, read from its YAML files. What runs them is `launch`, which loads much more."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import dagster as dg
from dagster.components.core.component_tree import ComponentTree

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError, did_you_mean
from mrs_pipeline.memory import without_collections
from mrs_pipeline.orchestration.component import Dataset, absence
from mrs_pipeline.orchestration.loading import definitions_of, tree_of
from mrs_pipeline.orchestration.mistakes import explain
from mrs_pipeline.orchestration.settings_files import require_settings
from mrs_pipeline.storage.home import Home


@dataclass(frozen=True)
class Project:
    """The datasets of a home."""

    home: Home
    configs: dict[str, DatasetConfig]
    folders: dict[str, Path]
    """Where each dataset's `defs.yaml` lies."""
    tree: ComponentTree

    @cached_property
    def definitions(self) -> dg.Definitions:
        """Their Dagster definitions, which only runs need: made when first asked for.

        Raises:
            InputError: a mistake in a `defs.yaml`, with file and line.
        """
        with _mistakes_in_words():
            return definitions_of(self.tree)

    def config(self, name: str) -> DatasetConfig:
        """The settings of a dataset; InputError lists those there are."""
        if name not in self.configs:
            known = ", ".join(sorted(self.configs)) or "none"
            raise InputError(
                f"no dataset is called {name}{did_you_mean(name, self.configs)}; this home has {known} (add one with "
                f"`mrs init FOLDER --name {name}`)."
            )
        return self.configs[name]


def load_project(home: Home) -> Project:
    """Read every `defs.yaml` of a home; a mistake in one is an InputError with file and line."""
    require_settings(home.root)
    if str(home.root) not in sys.path:
        sys.path.insert(0, str(home.root))  # a home's `defs` folder is imported as a package
    with without_collections(), _mistakes_in_words():
        tree = tree_of(home.root)
        datasets = tree.get_all_components(of_type=Dataset)
        _require_own_names([each.config for each in datasets])
        for each in datasets:
            absence(each.config, home.root)  # a folder may be absent, but what is there must be a folder
        return Project(
            home,
            {each.config.name: each.config for each in datasets},
            {each.config.name: each.folder for each in datasets},
            tree,
        )


@contextmanager
def _mistakes_in_words() -> Iterator[None]:
    """Errors inside that are mistakes in a `defs.yaml` come out as an InputError."""
    try:
        yield
    except Exception as error:
        mistake = explain(error)
        if mistake is None:
            raise
        raise InputError(mistake) from error


def _require_own_names(configs: Sequence[DatasetConfig]) -> None:
    names = sorted(config.name for config in configs)
    twice = [name for name, following in pairwise(names) if name == following]
    if twice:
        raise InputError(
            f"two defs.yaml files describe a dataset named {twice[0]}; give one of them another name."
        )
