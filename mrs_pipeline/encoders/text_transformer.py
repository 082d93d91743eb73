"""Texts by a pretrained language model: tokens in, pooled and normalised vector out.

Batches are cut from length-sorted windows and bounded in tokens, so that little work goes into padding. The
pooling is stated in the options or by the model's sentence-transformers files, never guessed. Two-tower
models (CLIP) are `clip.py`; where weights come from is `pretrained.py`.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from mrs_pipeline.encoders.base import Surroundings
from mrs_pipeline.encoders.batching import batches_by_length, padded
from mrs_pipeline.encoders.network import NetworkEncoder
from mrs_pipeline.encoders.options import PretrainedOptions, TextOptions, WordOptions, feature_set_name
from mrs_pipeline.encoders.pooling import first_token, last_token, masked_mean
from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.encoders.sentence_layout import SentenceLayout, load_projection, sentence_layout
from mrs_pipeline.encoders.texts import TextLoader, joined_text
from mrs_pipeline.encoders.token_maps import kept_words, places_of_words
from mrs_pipeline.encoders.tokens import open_tokenizer
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_OFFSET_POSITIONS = ("roberta", "camembert", "mpnet", "longformer")
"""Architectures whose position numbers begin after the padding token's: their table is that much shorter."""
_CPU_TOKENS, _GPU_TOKENS = 2048, 8192
"""Tokens of a forward pass where the options leave it open."""


class TextTransformerOptions(TextOptions, WordOptions, PretrainedOptions):
    """A language model of the `transformers` library (BERT, RoBERTa, E5, MiniLM ...), one vector a text."""

    encoder: Literal["transformer"]
    pooling: Literal["cls", "mean", "last", "none"] | None = None
    """First token, mean over tokens, or last token; if not given, the sentence-transformers files say it. With `none`
    all are kept, for models that attend to words."""
    prefix: str | None = None
    """Put before each text (E5 wants `passage: `); if not given, the sentence-transformers files say it."""
    max_tokens: int = Field(default=512, ge=1)
    """Longer texts are cut here, or where the model ends."""
    batch_size: int = Field(default=256, ge=1, le=4096)
    """Most texts in one forward pass."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Most tokens, padding included, in one forward pass; if not given, 8192 on a GPU and 2048 on a CPU, which likes
    tensors that stay near its caches."""


class TextTransformerEncoder(NetworkEncoder):
    """Payloads are texts on arrival and lists of token numbers once arranged."""

    network: TransformersNetwork

    Options = TextTransformerOptions

    def __init__(self, options: TextTransformerOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self.network = TransformersNetwork(options, surroundings.settings)

    @cached_property
    def _layout(self) -> SentenceLayout | None:
        return sentence_layout(self.network.folder)

    @property
    def _pooling(self) -> str:
        if self._settings.pooling is not None:
            return self._settings.pooling
        if self._layout is not None:
            return self._layout.pooling
        raise InputError(
            f"features: {feature_set_name(self._settings)} does not say how tokens become one vector, and "
            f"{self.network.folder.path} has no sentence-transformers files that would; add pooling: mean, cls or "
            f"last"
        )

    @property
    def _prefix(self) -> str:
        if self._settings.prefix is not None:
            return self._settings.prefix
        return self._layout.prefix if self._layout else ""

    def ingredients(self) -> Sequence[str]:
        """What the sentence-transformers files add to weights and options."""
        return (self._pooling, self._prefix)

    @cached_property
    def _tokenizer(self) -> Any:
        return open_tokenizer(self.network)

    @cached_property
    def _max_tokens(self) -> int:
        """The shortest of all limits: options, layout, tokenizer, position table."""
        config = self.network.config
        limits = [self._settings.max_tokens, int(self._tokenizer.model_max_length)]
        if self._layout and self._layout.max_tokens:
            limits.append(self._layout.max_tokens)
        positions = getattr(config, "max_position_embeddings", None)
        if self._settings.keeps_tokens:
            limits.append(self._settings.kept_tokens + self._n_special)
        if positions:
            offset = any(name in config.model_type for name in _OFFSET_POSITIONS)
            limits.append(positions - (config.pad_token_id + 1 if offset else 0))
        return min(limits)

    @cached_property
    def _n_special(self) -> int:
        """Tokens that are put around a text."""
        return int(self._tokenizer.num_special_tokens_to_add())

    @cached_property
    def _around(self) -> list[int]:
        """Numbers of tokens that are no words: padding and what is put around a text."""
        marks = ("cls_token_id", "sep_token_id", "bos_token_id", "eos_token_id", "pad_token_id")
        numbers = (getattr(self._tokenizer, mark, None) for mark in marks)
        return sorted({number for number in numbers if number is not None})

    @property
    def _batch_tokens(self) -> int:
        """As the options say, or what suits the device."""
        return self._settings.batch_tokens or (_CPU_TOKENS if self.network.device == "cpu" else _GPU_TOKENS)

    @cached_property
    def _projections(self) -> "list[Module]":
        if self._layout is None or self._settings.pooling is not None:
            return []
        folder = self.network.folder
        return [
            load_projection(folder, path).eval().to(self.network.device) for path in self._layout.projections
        ]

    @cached_property
    def dimensions(self) -> int:
        """Width of the vectors, found by encoding a word."""
        return int(self.encode(self.arrange(["word"])).shape[1])

    def check_settings(self) -> None:
        """InputError for models that are not encoders of text."""
        # From the file, not the parsed configuration: an unchanged catalogue need not load `transformers`.
        declared = self.network.folder.read_json("config.json")
        if declared.get("is_encoder_decoder") or "vision_config" in declared:
            raise InputError(
                f"{self.network.folder.path}: {declared.get('model_type')} is no plain text encoder; use one (BERT, "
                f"RoBERTa, E5, MiniLM ...), or encoder: clip for the text tower of CLIP or SigLIP"
            )

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
        """Token numbers of each text."""
        texts = [self._prefix + text for text in payloads]
        tokens = self._tokenizer(texts, truncation=True, max_length=self._max_tokens, verbose=False)
        numbers: list[list[int]] = tokens["input_ids"]
        return numbers

    def batches(self, payloads: Sequence[list[int]]) -> list[IntArray]:
        """Sorted by length, bounded in tokens."""
        lengths = np.array([len(tokens) for tokens in payloads], dtype=np.int64)
        return batches_by_length(lengths, self._settings.batch_size, self._batch_tokens)

    def encode(self, payloads: Sequence[list[int]]) -> FloatArray:
        """[B, F] one vector a text, or its words one after the other [B, T D]."""
        tokens, mask = padded(list(payloads), self._tokenizer.pad_token_id or 0, self._max_tokens)
        inputs = {"input_ids": tokens, "attention_mask": mask}
        shape = self._settings.token_shape
        if shape is None:
            return self.network.run(inputs, self._forward)
        inputs["words"] = places_of_words(tokens, mask, self._around, shape.count)
        found = self.network.run(inputs, self._words)
        return found.reshape(len(found), -1)

    def _words(
        self, module: "Module", input_ids: "Tensor", attention_mask: "Tensor", words: "Tensor"
    ) -> "Tensor":
        hidden = module(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        shape = self._settings.token_shape
        assert shape is not None
        return kept_words(hidden, words, shape, self._settings)

    def _forward(self, module: "Module", input_ids: "Tensor", attention_mask: "Tensor") -> "Tensor":
        hidden = module(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        match self._pooling:
            case "cls":
                pooled = first_token(hidden)
            case "last":
                pooled = last_token(hidden, attention_mask)
            case _:
                pooled = masked_mean(hidden, attention_mask)
        for projection in self._projections:
            pooled = projection(pooled.float())
        return pooled
