"""Content decoded for models that train an encoder themselves: pixels of one size, token numbers of one length.

They are encoders only in that the extraction engine drives them, with its worker processes, bounds, resuming and
quarantine; no vector is made. What is stored beside the matrix is here too.
"""

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_pipeline.encoders.base import Content, Encoder, Surroundings
from mrs_pipeline.encoders.files import MediaFolder, media_folder, media_references
from mrs_pipeline.encoders.images import decode_image
from mrs_pipeline.encoders.options import ImageOptions, PretrainedOptions
from mrs_pipeline.encoders.pixels import PixelLoader, PixelRecipe, open_pixels
from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.encoders.raw_options import (
    NetworkPixelsOptions,
    NetworkTokensOptions,
    PixelsOptions,
    RawOptions,
    TokensOptions,
)
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import MATRIX, PRESENT
from mrs_pipeline.encoders.texts import TextLoader, joined_text
from mrs_pipeline.encoders.tokens import open_tokenizer
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray, PretrainedNetwork, RawContent

MODULES: Final = (
    *("base", "engine", "files", "images", "lane", "loading", "pixels", "pretrained"),
    *("raw", "store", "texts", "tokens"),
)
"""Modules of this room whose code decides the content."""
_LAYOUT, _NETWORK, _WEIGHTS = "raw.json", "network.json", "network.safetensors"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class RawLayout:
    """How a row of the matrix is to be read.

    Attributes:
        shape: of one item.
        vocabulary: different token numbers; 0 for pictures.
        mean / std: of colours.
    """

    shape: tuple[int, ...]
    vocabulary: int = 0
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)


class RawEncoder(Encoder):
    """Decodes; rows are what a trainable encoder will take."""

    layout: RawLayout
    network: TransformersNetwork | None = None
    """What models start from."""

    def check_settings(self) -> None:
        """InputError if the network is not a single tower, whose states a model could take."""
        if self.network is not None and hasattr(self.network.config, "vision_config"):
            raise InputError(
                f"{self.network.folder.path}: {self.network.folder.name} has a tower for pictures and one for texts; "
                f"`raw:` takes a model of {self.options.modality} alone"
            )

    @property
    def dimensions(self) -> int:
        """Numbers of one item."""
        return int(np.prod(self.layout.shape))

    def ingredients(self) -> Sequence[str]:
        """The network's files."""
        return () if self.network is None else (self.network.folder.origin,)

    def encode(self, payloads: Sequence[Any]) -> FloatArray:
        """[B, F] the payloads, flat; whole numbers up to 2^24 pass through float32 unharmed."""
        return np.stack(payloads).reshape(len(payloads), -1).astype(np.float32)

    def write_beside(self, directory: Path) -> None:
        """The layout and the network, beside the matrix."""
        from safetensors.torch import save_file

        (directory / _LAYOUT).write_text(json.dumps(vars(self.layout)))
        if self.network is not None:
            (directory / _NETWORK).write_text(json.dumps(self.network.config.to_dict(), default=str))
            state = self.network.module.state_dict()
            save_file(
                {name: tensor.contiguous().clone() for name, tensor in state.items()}, directory / _WEIGHTS
            )


def open_raw(options: RawOptions, media_root: Path, settings: EngineSettings) -> RawEncoder:
    """The decoder that an entry of `raw:` names."""
    surroundings = Surroundings(media_root, settings)
    match options:
        case PixelsOptions():
            return _Pixels(options, surroundings)
        case TokensOptions():
            return _Tokens(options, surroundings)
        case NetworkPixelsOptions():
            return _NetworkPixels(options, surroundings)
        case NetworkTokensOptions():
            return _NetworkTokens(options, surroundings)


def read_raw(directory: Path, name: str) -> RawContent:
    """What `RawEncoder` left in a directory; the values stay a memory map, of which nobody can change the file."""
    layout = RawLayout(**json.loads((directory / _LAYOUT).read_text()))
    values = np.load(directory / MATRIX, mmap_mode="c", allow_pickle=False)
    return RawContent(
        values=values.reshape(len(values), *layout.shape),
        present=np.load(directory / PRESENT, allow_pickle=False),
        name=name,
        vocabulary=layout.vocabulary,
        mean=tuple(layout.mean),
        std=tuple(layout.std),
        network=_read_network(directory),
    )


class _Pictures(RawEncoder):
    in_processes = True
    options: ImageOptions

    def references(self, items: pl.DataFrame) -> pl.Series:
        return media_references(self.options, items)

    def encode(self, payloads: Sequence[Any]) -> FloatArray:
        return super().encode([pixels.transpose(2, 0, 1) for pixels in payloads])


class _Pixels(_Pictures):
    def __init__(self, options: PixelsOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._loader = _SquareLoader(
            media_folder(options, surroundings.media_root), options.max_pixels, options.size
        )
        self.layout = RawLayout((3, options.size, options.size))

    def loader(self) -> "_SquareLoader":
        return self._loader


@dataclass(frozen=True)
class _SquareLoader:
    folder: MediaFolder
    max_pixels: int
    size: int

    def read(self, reference: str) -> Content:
        return self.folder.read(reference)

    def decode(self, content: Content) -> npt.NDArray[np.uint8]:
        from PIL.Image import Resampling

        # twice the side, so that scaling down still averages
        image = decode_image(content.data, max_pixels=self.max_pixels, shortest=2 * self.size)
        return np.asarray(image.resize((self.size, self.size), Resampling.BICUBIC))


class _NetworkPixels(_Pictures):
    def __init__(self, options: NetworkPixelsOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._folder = media_folder(options, surroundings.media_root)
        self._max_pixels = options.max_pixels
        self.network = _on_cpu(options, surroundings.settings)

    @cached_property
    def _recipe(self) -> PixelRecipe:
        assert self.network is not None
        pixels = open_pixels(self.network.folder)
        if not isinstance(pixels, PixelRecipe) or not (pixels.crop or len(pixels.scale or ()) == 2):
            raise InputError(
                f"{self.network.folder.path}: its image processor gives no pixels of one size that can be stored as "
                "bytes; use a vision model that only scales, crops and normalises"
            )
        return pixels

    @cached_property
    def layout(self) -> RawLayout:  # type: ignore[override]
        recipe = self._recipe
        height, width = recipe.crop or recipe.scale  # type: ignore[misc]
        # the model's scale is of bytes times a factor; ours is of bytes over 255
        unit = 255 * recipe.factor
        mean, std = (tuple(value / unit for value in values) for values in (recipe.mean, recipe.std))
        return RawLayout((3, height, width), 0, mean, std)

    def loader(self) -> PixelLoader:
        return PixelLoader(self._folder, self._max_pixels, self._recipe)


class _Texts(RawEncoder):
    def references(self, items: pl.DataFrame) -> pl.Series:
        return joined_text(self.options, items)  # type: ignore[arg-type]

    def loader(self) -> TextLoader:
        return TextLoader()


class _Tokens(_Texts):
    def __init__(self, options: TokensOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self.layout = RawLayout((options.length,), options.vocabulary)

    def encode(self, payloads: Sequence[str]) -> FloatArray:
        """[B, T] hashes of words, -1 after the last; zeros, which means nothing found, where there is no word."""
        (length,), vocabulary = self.layout.shape, self.layout.vocabulary
        rows = np.zeros((len(payloads), length), dtype=np.float32)
        for row, text in zip(rows, payloads, strict=True):
            words = _WORD.findall(text.lower())[:length]
            if words:
                row[: len(words)] = [1 + zlib.crc32(word.encode()) % (vocabulary - 1) for word in words]
                row[len(words) :] = -1
        return rows


class _NetworkTokens(_Texts):
    def __init__(self, options: NetworkTokensOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._length = options.length
        self.network = _on_cpu(options, surroundings.settings)

    @cached_property
    def _tokenizer(self) -> Any:
        assert self.network is not None
        return open_tokenizer(self.network)

    @cached_property
    def layout(self) -> RawLayout:  # type: ignore[override]
        assert self.network is not None
        return RawLayout((self._length,), int(self.network.config.get_text_config().vocab_size))

    def check_settings(self) -> None:
        """InputError if the network has fewer places than a text has tokens."""
        super().check_settings()
        assert self.network is not None
        places = getattr(self.network.config.get_text_config(), "max_position_embeddings", None)
        if places is not None and self._length > places:
            raise InputError(
                f"raw: text length {self._length} is more than the {places} places of {self.network.folder.name}; "
                "lower it"
            )

    def encode(self, payloads: Sequence[str]) -> FloatArray:
        tokens = self._tokenizer(
            list(payloads),
            truncation=True,
            max_length=self._length,
            padding="max_length",
            return_tensors="np",
        )
        return np.where(tokens["attention_mask"] == 1, tokens["input_ids"], -1).astype(np.float32)


def _on_cpu(options: PretrainedOptions, settings: EngineSettings) -> TransformersNetwork:
    """The network is stored here, never run."""
    return TransformersNetwork(options, settings.model_copy(update={"device": "cpu", "compile": False}))


def _read_network(directory: Path) -> PretrainedNetwork | None:
    from safetensors.numpy import load_file

    if not (directory / _NETWORK).exists():
        return None
    config = json.loads((directory / _NETWORK).read_text())
    return PretrainedNetwork(config, load_file(directory / _WEIGHTS))
