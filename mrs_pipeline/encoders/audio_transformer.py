"""Audio by a pretrained model: AST, CLAP, Wav2Vec2 / HuBERT / WavLM, Whisper's encoder.

A clip is heard in windows of one length (`audio.py`); each becomes a vector by the pooling stated, and the
clip's vector is their mean. The model's own feature extractor runs in worker processes. Classical statistics
are `log_mel.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from mrs_pipeline.encoders.audio import Windows
from mrs_pipeline.encoders.base import Content, Surroundings
from mrs_pipeline.encoders.files import MediaFolder, media_folder, media_references
from mrs_pipeline.encoders.image_transformer import special_tokens
from mrs_pipeline.encoders.network import NetworkEncoder
from mrs_pipeline.encoders.options import AudioOptions, Precision, PretrainedOptions
from mrs_pipeline.encoders.pooling import first_token, patch_mean
from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

_SECONDS = 10.0
"""Length of a window where neither options nor model state one."""
_POOLED_BY_ITSELF = "clap"
_WITH_CLASS_TOKEN = "audio-spectrogram-transformer"  # noqa: S105 - a model type, no secret


class AudioTransformerOptions(AudioOptions, PretrainedOptions):
    """An audio model of the `transformers` library (AST, CLAP, Wav2Vec2, HuBERT, Whisper's encoder)."""

    encoder: Literal["transformer"]
    precision: Precision = "auto"
    """Of the forward pass: see the `transformer` of texts; without int8."""
    pooling: Literal["cls", "mean"] | None = None
    """Over time within a window; must be left out for CLAP, which has its own. Windows are averaged."""
    window_seconds: float | None = Field(default=None, ge=0.1, le=120)
    """Length of a window; the model's own length if not given, 10 s where it has none."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Most windows in one forward pass."""


class AudioTransformerEncoder(NetworkEncoder):
    """Payloads are [W, ...] arrays, the extracted features of each window of a clip."""

    network: TransformersNetwork

    Options = AudioTransformerOptions
    in_processes = True

    def __init__(self, options: AudioTransformerOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self.network = TransformersNetwork(options, surroundings.settings)
        self._folder = media_folder(options, surroundings.media_root)

    def check_settings(self) -> None:
        """InputError where the pooling does not exist for the architecture."""
        kind, pooling = self._kind, self._settings.pooling
        if kind.startswith(_POOLED_BY_ITSELF) and pooling is not None:
            raise InputError(
                f"{self.network.folder.path}: {kind} pools by itself; leave pooling out for this model"
            )
        if pooling == "cls" and kind != _WITH_CLASS_TOKEN:
            raise InputError(f"{self.network.folder.path}: {kind} has no class token; write pooling: mean")

    @property
    def _kind(self) -> str:
        return str(self.network.folder.read_json("config.json").get("model_type"))

    @cached_property
    def _loader(self) -> "_FeatureLoader":
        extractor = open_extractor(self.network)
        seconds = self._settings.window_seconds or natural_seconds(extractor)
        windows = Windows(
            extractor.sampling_rate, seconds, self._settings.windows, self._settings.max_seconds
        )
        return _FeatureLoader(self._folder, windows, extractor)

    @cached_property
    def dimensions(self) -> int:
        """Width of the vectors, found by encoding a window of noise."""
        windows = self._loader.windows
        noise = (
            np.random.default_rng(0).normal(0, 0.1, round(windows.rate * windows.seconds)).astype(np.float32)
        )
        return int(self.encode([self._loader.extract([noise])]).shape[1])

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._settings, items)

    def loader(self) -> "_FeatureLoader":
        """Reads the windows of a clip and extracts what the model takes."""
        return self._loader

    def encode(self, payloads: Sequence[npt.NDArray[np.float32]]) -> FloatArray:
        """[B, F] the mean over the windows of each clip."""
        windows = np.concatenate(payloads)
        size = self._settings.batch_size
        vectors = np.concatenate(
            [
                self.network.run({"features": windows[at : at + size]}, self._forward)
                for at in range(0, len(windows), size)
            ]
        )
        return clip_means(vectors, [len(payload) for payload in payloads], normalize=self._settings.normalize)

    def _forward(self, module: Any, features: "Tensor") -> "Tensor":
        features = features.to(module.dtype)
        kind = str(module.config.model_type)
        if kind.startswith(_POOLED_BY_ITSELF):
            pooled: Tensor = module.get_audio_features(input_features=features).pooler_output
            return pooled
        if kind == "whisper":
            hidden = module.get_encoder()(features).last_hidden_state
        else:
            hidden = module(features).last_hidden_state
        # Without a choice: the class token where there is one, else the mean over time.
        wants_class = (self._settings.pooling or "cls") == "cls" and kind == _WITH_CLASS_TOKEN
        return first_token(hidden) if wants_class else patch_mean(hidden, special_tokens(module))


@dataclass(frozen=True)
class _FeatureLoader:
    folder: MediaFolder
    windows: Windows
    extractor: Any

    def read(self, reference: str) -> Content:
        return self.folder.read(reference)

    def decode(self, content: Content) -> npt.NDArray[np.float32]:
        return self.extract(self.windows.read(content.data))

    def extract(self, windows: list[FloatArray]) -> npt.NDArray[np.float32]:
        """[W, ...] what the model takes of each window."""
        extracted = self.extractor(
            windows,
            sampling_rate=self.extractor.sampling_rate,
            return_tensors="np",
            **_extractor_arguments(self.extractor),
        )
        features: npt.NDArray[np.float32] = np.asarray(
            extracted[self.extractor.model_input_names[0]], dtype=np.float32
        )
        return features


def _extractor_arguments(extractor: Any) -> dict[str, Any]:
    # CLAP's default joins several random crops, for its fusion models only; windows are never longer than its input.
    return {"truncation": "rand_trunc"} if type(extractor).__name__.startswith("Clap") else {}


def open_extractor(network: TransformersNetwork) -> Any:
    """The model's feature extractor."""
    from transformers import AutoFeatureExtractor

    folder = network.folder
    return folder.open(
        "the feature extractor (preprocessor_config.json)",
        lambda: AutoFeatureExtractor.from_pretrained(  # type: ignore[no-untyped-call]
            folder.path, trust_remote_code=False, local_files_only=True
        ),
    )


def natural_seconds(extractor: Any) -> float:
    """Length of the window that a feature extractor is made for; 10 s where it takes any length."""
    if hasattr(extractor, "chunk_length"):  # Whisper
        return float(extractor.chunk_length)
    if hasattr(extractor, "max_length_s"):  # CLAP
        return float(extractor.max_length_s)
    if hasattr(extractor, "num_mel_bins"):  # AST: frames of 10 ms, the last of which needs 25 ms
        return float(extractor.max_length) * 0.01 + 0.015
    return _SECONDS


def clip_means(vectors: FloatArray, counts: Sequence[int], *, normalize: bool) -> FloatArray:
    """[B, F] mean of the vectors of each clip; `counts` says how many belong to each, in order."""
    starts = np.cumsum([0, *counts[:-1]])
    means = np.add.reduceat(vectors, starts, axis=0) / np.asarray(counts, dtype=np.float32)[:, None]
    if normalize:
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return means.astype(np.float32, copy=False)
