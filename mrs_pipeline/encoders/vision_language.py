"""Pictures by a vision-language model: what it thinks of a picture and a prompt, pooled over its last hidden states.

LLaVA, Qwen2-VL, SmolVLM, Idefics and their like: whatever `AutoModel` opens, has a token that stands for a picture, and
answers with a sequence of hidden states. Nothing is generated. Two-tower models (CLIP, SigLIP) are `clip.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from mrs_pipeline.encoders.base import Content, Surroundings
from mrs_pipeline.encoders.files import MediaFolder, media_folder, media_references
from mrs_pipeline.encoders.images import decode_image
from mrs_pipeline.encoders.network import NetworkEncoder
from mrs_pipeline.encoders.options import ImageOptions, Precision, PretrainedOptions
from mrs_pipeline.encoders.pixels import PixelArray
from mrs_pipeline.encoders.pooling import last_token, masked_mean
from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor
    from torch.nn import Module

_PICTURE_TOKENS: Final = ("image_token_id", "image_token_index")
"""One of these stands in the configuration of a model that reads pictures among words."""


class VisionLanguageOptions(ImageOptions, PretrainedOptions):
    """A vision-language model of the `transformers` library (LLaVA, Qwen2-VL, SmolVLM ...), one vector a picture."""

    encoder: Literal["vision_language"]
    precision: Precision = "auto"
    """Of the forward pass: see the `transformer` of texts; without int8."""
    prompt: str = Field(default="Describe this item in a few keywords.", min_length=1, max_length=2000)
    """What is said beside the picture, in the model's own chat format where it has one."""
    pooling: Literal["mean", "last"] = "last"
    """The last token, which would begin the answer, or the mean over the tokens of picture and prompt."""
    side: int = Field(default=448, ge=16, le=4096)
    """Pictures are scaled down to this longer side before the model's own processor sees them."""
    batch_size: int = Field(default=4, ge=1, le=4096)
    """Most pictures in one forward pass."""


class VisionLanguageEncoder(NetworkEncoder):
    """Payloads are decoded pictures, [H, W, 3] bytes."""

    Options = VisionLanguageOptions
    network: TransformersNetwork
    in_processes = True

    def __init__(self, options: VisionLanguageOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self.network = TransformersNetwork(options, surroundings.settings)
        self._folder = media_folder(options, surroundings.media_root)

    def check_settings(self) -> None:
        """InputError for models that do not read pictures among words."""
        declared = self.network.folder.read_json("config.json")
        if not any(name in declared for name in _PICTURE_TOKENS):
            raise InputError(
                f"{self.network.folder.path}: {declared.get('model_type')} has no token for a picture among words; "
                f"write encoder: transformer or encoder: clip for this model"
            )

    @cached_property
    def dimensions(self) -> int:
        """Width of the vectors, found by encoding a black picture."""
        return int(self.encode([np.zeros((64, 64, 3), dtype=np.uint8)]).shape[1])

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._settings, items)

    def loader(self) -> "_PictureLoader":
        """Reads, decodes, scales down."""
        return _PictureLoader(self._folder, self._settings.max_pixels, self._settings.side)

    def encode(self, payloads: Sequence[PixelArray]) -> FloatArray:
        """[B, F] one vector a picture."""
        return self.network.run(self._inputs(payloads), self._forward)

    @cached_property
    def _processor(self) -> Any:
        """The model's processor of pictures and words."""
        from transformers import AutoProcessor

        folder = self.network.folder
        return folder.open(
            "the processor (processor_config.json)",
            # The other backend needs torchvision, which has no wheel for many machines.
            lambda: AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
                folder.path, backend="pil", trust_remote_code=False, local_files_only=True
            ),
        )

    @cached_property
    def _text(self) -> str:
        """Picture and prompt in the model's chat format; without one, the picture's token and the prompt."""
        processor, prompt = self._processor, self._settings.prompt
        if getattr(processor, "chat_template", None) is None:
            return f"{processor.image_token}\n{prompt}"
        said = [{"type": "image"}, {"type": "text", "text": prompt}]
        chat = [{"role": "user", "content": said}]
        return str(processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))

    def _inputs(self, pictures: Sequence[PixelArray]) -> Mapping[str, npt.NDArray[Any]]:
        from PIL import Image

        inputs = self._processor(
            text=[self._text] * len(pictures),
            images=[Image.fromarray(picture) for picture in pictures],
            return_tensors="np",
            padding=True,
        )
        return {name: np.asarray(array) for name, array in inputs.items()}

    def _forward(self, module: "Module", attention_mask: "Tensor", **inputs: "Tensor") -> "Tensor":
        hidden = module(attention_mask=attention_mask, **inputs).last_hidden_state
        if self._settings.pooling == "last":
            return last_token(hidden, attention_mask)
        return masked_mean(hidden, attention_mask)


@dataclass(frozen=True)
class _PictureLoader:
    folder: MediaFolder
    max_pixels: int
    side: int

    def read(self, reference: str) -> Content:
        return self.folder.read(reference)

    def decode(self, content: Content) -> PixelArray:
        return self.prepare(decode_image(content.data, max_pixels=self.max_pixels, shortest=self.side))

    def prepare(self, image: "Image") -> PixelArray:
        image.thumbnail((self.side, self.side))
        return np.asarray(image, dtype=np.uint8)
