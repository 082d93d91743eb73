"""A small shop made in code, and the shortest way to run the engine on it."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from pydantic import TypeAdapter

from mrs_pipeline.encoders.engine import extract
from mrs_pipeline.encoders.options import EncoderOptions
from mrs_pipeline.encoders.registry import FeatureOptions
from mrs_pipeline.encoders.report import ExtractionReport
from mrs_pipeline.encoders.settings import EngineSettings


@dataclass(frozen=True)
class Shop:
    """A media folder and a folder for results."""

    media: Path
    results: Path

    def picture(self, name: str, color: tuple[int, int, int] = (200, 30, 30), side: int = 48) -> str:
        """Save a picture with a dark square (colour and gradient); its path for the item table."""
        pixels = np.full((side, side + 12, 3), color, dtype=np.uint8)
        pixels[8:24, 8:24] = 20
        path = self.media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return name

    def pictures(self, n: int) -> list[str]:
        """Save `n` pictures of different colours."""
        return [
            self.picture(f"images/{at}.png", (25 * at % 256, 255 - 25 * at % 256, 7 * at % 256))
            for at in range(n)
        ]

    def extract(
        self, options: EncoderOptions, items: pl.DataFrame, into: str = "out", **rest: Any
    ) -> ExtractionReport:
        """Run the engine without worker processes, four items a chunk."""
        rest.setdefault("settings", EngineSettings(workers=0, chunk_items=4))
        return extract(options, items, self.media, self.results / into, **rest)

    def matrix(self, into: str = "out") -> np.ndarray:
        return np.load(self.results / into / "matrix.npy")

    def present(self, into: str = "out") -> np.ndarray:
        return np.load(self.results / into / "present.npy")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    (tmp_path / "media").mkdir()
    return Shop(tmp_path / "media", tmp_path / "results")


@pytest.fixture(scope="session")
def parse() -> Callable[..., EncoderOptions]:
    """One entry of `features:` as YAML would give it."""
    adapter = TypeAdapter(FeatureOptions)
    return lambda **entry: adapter.validate_python(entry)


@pytest.fixture(scope="session")
def catalogue() -> Callable[..., pl.DataFrame]:
    """Items 0..I-1 with ids `i0`, `i1`, ... and the given columns."""

    def _catalogue(**columns: list[Any]) -> pl.DataFrame:
        n = len(next(iter(columns.values())))
        ids = {"item": list(range(n)), "item_id": [f"i{at}" for at in range(n)]}
        return pl.DataFrame({**ids, **columns}, schema_overrides=dict.fromkeys(columns, pl.String))

    return _catalogue


@pytest.fixture(scope="session")
def png_bomb() -> Callable[[int], bytes]:
    """A small PNG whose header promises side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def bomb(side: int) -> bytes:
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")

    return bomb
