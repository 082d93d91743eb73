"""Digests of what a task reads outside the stores: the source's files, its media, its ready matrices.

Media are compared by name, size and time of change, since reading every picture only to learn that nothing changed
would cost as much as the work it saves; the extraction engine then compares contents row by row.
"""

from pathlib import Path

from mrs_pipeline.encoders.frames import FramesOptions
from mrs_pipeline.encoders.options import EncoderOptions, PretrainedOptions
from mrs_pipeline.encoders.pretrained import files_signature, local_folder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.paths import inside
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.tasks.node import External, Files
from mrs_pipeline.tasks.source_files import digest_at, file_state, media_states, source_digests, source_of
from mrs_pipeline.tasks.task import Stage


def files_digests(stage: Stage, files: External) -> dict[str, str]:
    """Name -> digest of the files now; one entry a file of the source."""
    name = files.name
    if files.kind is Files.WEIGHTS:
        return {str(files): _weights(stage, pretrained_part(stage.config.feature(name)))}
    if files.kind is Files.NETWORK:
        return {str(files): _weights(stage, pretrained_part(stage.config.raw_entry(name)))}
    source = source_of(stage)
    if files.kind is Files.SOURCE:
        return source_digests(source)
    if files.kind is Files.MATRIX:
        matrix = source.matrices().get(name)
        return {str(files): _digest(matrix.path) if matrix else "absent"}
    if files.kind is Files.TRIPLES:
        return {str(files): _digest(inside(source.root, name, "knowledge.triples"))}
    return {str(files): _media(stage, source, name) if name else _media_names(stage, source)}


def _media(stage: Stage, source: Source, modality: str) -> str:
    """Digest of the names, sizes and times of a modality's files."""
    paths = stage.lake.read(stage.table("raw", "items", window=FULL_WINDOW))[modality].drop_nulls()
    return text_digest(*(_signature(source.root / path) for path in paths))


def _media_names(stage: Stage, source: Source) -> str:
    """Digest of the names of the media; a catalogue that cannot be read is not the one that was read."""
    try:
        return text_digest(*sorted(media_states(stage, source)))
    except InputError as fault:
        return text_digest("unreadable", str(fault))


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
    state = file_state(path)
    return digest_at(path, state) if state else "absent"


def _signature(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        return f"{path.name} absent"
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"
