"""CLIP and SigLIP: texts and images as vectors of one space, by the two towers of one model.

The projected outputs are taken, those that the contrastive loss compares (Radford et al., ICML 2021; Zhai et
al., ICCV 2023). One-tower models are `text_transformer.py` and `image_transformer.py`.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from mrs_pipeline.encoders.base import Surroundings
from mrs_pipeline.encoders.batching import batches_by_length, padded
from mrs_pipeline.encoders.files import media_folder, media_references
from mrs_pipeline.encoders.image_transformer import blank_dimensions
from mrs_pipeline.encoders.network import NetworkEncoder
from mrs_pipeline.encoders.options import ImageOptions, Precision, PretrainedOptions, TextOptions
from mrs_pipeline.encoders.pixels import PixelArray, PixelLoader, Pixels, open_pixels
from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.encoders.texts import TextLoader, joined_text
from mrs_pipeline.encoders.tokens import open_tokenizer
from mrs_pipeline.errors import InputError
from mrs_pipeline.taxonomy import Modality
from mrs_pipeline.types import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor


class ClipTextOptions(TextOptions, PretrainedOptions):
    """The text tower of CLIP or SigLIP: texts in the same space as the images of `clip` with the same model."""

    modality: Literal[Modality.TEXT]
    encoder: Literal["clip"]
    precision: Precision = "auto"
    """Of the forward pass: see the `transformer` of texts; without int8."""
    batch_size: int = Field(default=128, ge=1, le=4096)
    """Most texts in one forward pass."""


class ClipImageOptions(ImageOptions, PretrainedOptions):
    """The image tower of CLIP or SigLIP."""

    modality: Literal[Modality.IMAGE]
    encoder: Literal["clip"]
    precision: Precision = "auto"
    """Of the forward pass: see the `transformer` of texts; without int8."""


class _TowerEncoder(NetworkEncoder):
    """What both towers share: one model, and the check that it has two towers."""

    network: TransformersNetwork

    def __init__(self, options: PretrainedOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self.network = TransformersNetwork(options, surroundings.settings)

    def check_settings(self) -> None:
        """InputError for models with one tower."""
        declared = self.network.folder.read_json("config.json")
        if not {"text_config", "vision_config"} <= set(declared):
            raise InputError(
                f"{self.network.folder.path}: {declared.get('model_type')} has no text and vision tower; write "
                f"encoder: transformer for this model"
            )


class ClipTextEncoder(_TowerEncoder):
    """Payloads are texts on arrival and lists of token numbers once arranged."""

    Options = ClipTextOptions

    def __init__(self, options: ClipTextOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options

    @cached_property
    def _tokenizer(self) -> Any:
        return open_tokenizer(self.network)

    @property
    def _max_tokens(self) -> int:
        return int(self.network.config.text_config.max_position_embeddings)

    @cached_property
    def dimensions(self) -> int:
        """Width of the vectors, found by encoding a word."""
        return int(self.encode(self.arrange(["word"])).shape[1])

    def references(self, items: pl.DataFrame) -> pl.Series:
        """The texts."""
        return joined_text(self._settings, items)

    def loader(self) -> TextLoader:
        """Hands the text through."""
        return TextLoader()

    @property
    def window(self) -> int:
        """As many as there are: the longer the window, the better sorted the batches."""
        return 2**31

    def arrange(self, payloads: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text. SigLIP learned on texts filled up to full length, so it gets such ones."""
        tokens = self._tokenizer(
            list(payloads),
            truncation=True,
            max_length=self._max_tokens,
            padding="max_length" if "siglip" in self.network.config.model_type else False,
        )
        numbers: list[list[int]] = tokens["input_ids"]
        return numbers

    def batches(self, payloads: Sequence[list[int]]) -> list[IntArray]:
        """Sorted by length."""
        lengths = np.array([len(tokens) for tokens in payloads], dtype=np.int64)
        return batches_by_length(lengths, self._settings.batch_size, 2**31)

    def encode(self, payloads: Sequence[list[int]]) -> FloatArray:
        """[B, F] one vector a text."""
        # CLIP reads its vector at the end-of-text token, the same number as its padding: the first one counts.
        tokens, mask = padded(list(payloads), self._tokenizer.pad_token_id or 0, self._max_tokens)
        return self.network.run({"input_ids": tokens, "attention_mask": mask}, _text_tower)


class ClipImageEncoder(_TowerEncoder):
    """Payloads are prepared pixels."""

    Options = ClipImageOptions
    in_processes = True

    def __init__(self, options: ClipImageOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self._folder = media_folder(options, surroundings.media_root)

    @cached_property
    def _pixels(self) -> Pixels:
        return open_pixels(self.network.folder)

    @cached_property
    def dimensions(self) -> int:
        """Width of the vectors, found by encoding a black image."""
        return blank_dimensions(self, self.loader())

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._settings, items)

    def loader(self) -> PixelLoader:
        """Reads, decodes, prepares pixels."""
        return PixelLoader(self._folder, self._settings.max_pixels, self._pixels)

    def encode(self, payloads: Sequence[PixelArray]) -> FloatArray:
        """[B, F] one vector an image."""
        return self.network.run({"pixels": np.stack(payloads)}, self._forward)

    def _forward(self, module: Any, pixels: "Tensor") -> "Tensor":
        values = self._pixels.normalize(pixels).to(module.dtype)
        output: Tensor = module.get_image_features(pixel_values=values).pooler_output
        return output


def _text_tower(module: Any, input_ids: "Tensor", attention_mask: "Tensor") -> "Tensor":
    output: Tensor = module.get_text_features(
        input_ids=input_ids, attention_mask=attention_mask
    ).pooler_output
    return output
