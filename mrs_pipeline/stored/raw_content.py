"""Stored raw content: decoded pixels and token numbers. How they are decoded is `stages.raw_content`."""

from mrs_pipeline.encoders.raw import read_raw
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import RawContent


def read_raw_content(stage: Stage, modality: str) -> RawContent:
    """Materialised raw content, memory-mapped."""
    directory = stage.raw_content.read(stage.config.name, stage.window, modality).directory
    return read_raw(directory, f"raw_{modality}")
