"""Settings of the demonstration catalogue."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mrs_pipeline.ingest.options import SourceOptions

DEMO_FOLDER: Final = "data/raw/demo"
"""Where the demonstration catalogue is written, below the project's home."""


class DemoOptions(BaseModel):
    """Size of the demonstration catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    users: int = Field(default=1000, ge=50, le=20_000)
    """Listeners; about thirty interactions each."""
    items: int = Field(default=600, ge=40, le=5_000)
    """Records, released over the twelve months of 2024."""
    seed: int = Field(default=2024, ge=0)
    """Same seed, same files."""


class DemoSourceOptions(SourceOptions):
    """The demonstration catalogue, made on demand."""

    reader: Literal["demo"]
    """The name of this reader."""
    demo: DemoOptions = DemoOptions()
    """Size and seed."""

    @model_validator(mode="before")
    @classmethod
    def _lies_where_it_is_made(cls, written: Any) -> Any:
        if isinstance(written, dict) and written.get("path") is not None:
            raise ValueError(f"source.path does not go with reader: demo, which writes to {DEMO_FOLDER}")
        return written
