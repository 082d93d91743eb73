"""Digests of what a task reads outside the stores: the source's files, its media, its ready matrices.

Media are compared by name, size and time of change, since reading every picture only to learn that nothing changed
would cost as much as the work it saves; the extraction engine then compares contents row by row.
"""

from functools import lru_cache
from pathlib import Path

from mrs_pipeline.encoders.frames import FramesOptions
from mrs_pipeline.encoders.options import EncoderOptions, PretrainedOptions
from mrs_pipeline.encoders.pretrained import files_signature, local_folder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.ingest.opening import open_source
from mrs_pipeline.ingest.paths import inside
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.digests import file_digest, text_digest
from mrs_pipeline.tasks.node import External, Files
from mrs_pipeline.tasks.task import Stage


def source_of(stage: Stage) -> Source:
    """The dataset's raw files; InputError where they are absent."""
    return open_source(stage.config.source, stage.home.root)


def files_digests(stage: Stage, files: External) -> dict[str, str]:
    """Name -> digest of the files now; one entry a file of the source."""
    name = files.name
    if files.kind is Files.WEIGHTS:
        return {str(files): _weights(stage, pretrained_part(stage.config.feature(name)))}
    if files.kind is Files.NETWORK:
        return {str(files): _weights(stage, pretrained_part(stage.config.raw_entry(name)))}
    source = source_of(stage)
    if files.kind is Files.SOURCE:
        return {f"{Files.SOURCE}/{path.relative_to(source.root)}": _digest(path) for path in source.files()}
    if files.kind is Files.MATRIX:
        matrix = source.matrices().get(name)
        return {str(files): _digest(matrix.path) if matrix else "absent"}
    if files.kind is Files.TRIPLES:
        triples = inside(source.root, name, "knowledge.triples")
        return {str(files): _digest(triples) if triples.is_file() else "absent"}
    paths = stage.lake.read(stage.table("raw", "items", window=FULL_WINDOW))[name].drop_nulls()
    return {str(files): text_digest(*(_signature(source.root / path) for path in paths))}


def engine_settings(stage: Stage) -> EngineSettings:
    """Where and on what the encoders of a dataset run."""
    return EngineSettings(device=stage.config.training.device, pretrained=stage.home.models / "pretrained")


def pretrained_part(options: EncoderOptions) -> PretrainedOptions | None:
    """The settings of the weights that an encoder needs: its own, or those of the encoder of its frames."""
    part = options.image if isinstance(options, FramesOptions) else options
    return part if isinstance(part, PretrainedOptions) else None


def _weights(stage: Stage, options: PretrainedOptions | None) -> str:
    """A folder's files by size and time; a hub model that lies in no folder is told apart by its revision."""
    if options is None:
        raise ValueError("there are no pretrained weights")
    folder = local_folder(options, engine_settings(stage))
    return files_signature(folder) if folder.is_dir() else options.revision or "absent"


def _digest(path: Path) -> str:
    status = path.stat()
    return _cached_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _cached_digest(path: Path, size: int, modified: int) -> str:  # noqa: ARG001 - part of the cache's key
    return file_digest(path)


def _signature(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        return f"{path.name} absent"
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"
