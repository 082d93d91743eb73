"""Opens the encoder that options name. Its file, and the libraries it needs, are imported only then.

Which files decide the numbers of an encoder is said here too: others may change without a row being made again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mrs_pipeline.encoders.base import Encoder
from mrs_pipeline.encoders.identity import IdentityEncoder, ReadyMatrix
from mrs_pipeline.encoders.options import (
    AudioTransformerOptions,
    ClipImageOptions,
    ClipTextOptions,
    ColorGradientOptions,
    EncoderOptions,
    FramesOptions,
    IdentityOptions,
    ImageTransformerOptions,
    LogMelOptions,
    TextTransformerOptions,
    TfidfSvdOptions,
    VideoTransformerOptions,
    feature_set_name,
)
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError

_ENGINE: Final = ("base", "engine", "lane", "loading", "store")
_PICTURES: Final = ("files", "images")
_VISION: Final = (*_PICTURES, "image_transformer", "pixels", "pooling", "pretrained")
_TEXT_TOWER: Final = ("batching", "pretrained", "texts", "tokens")
_MODULES: Final[Mapping[type[EncoderOptions], tuple[str, ...]]] = {
    TfidfSvdOptions: ("texts", "tfidf_svd"),
    TextTransformerOptions: (*_TEXT_TOWER, "pooling", "sentence_layout", "text_transformer"),
    ClipTextOptions: ("clip", *_TEXT_TOWER, *_VISION),
    ColorGradientOptions: ("color_gradient", *_PICTURES),
    ImageTransformerOptions: _VISION,
    ClipImageOptions: ("clip", *_TEXT_TOWER, *_VISION),
    LogMelOptions: ("audio", "files", "log_mel"),
    AudioTransformerOptions: ("audio", "audio_transformer", *_VISION),
    FramesOptions: ("files", "frames", "video"),
    VideoTransformerOptions: ("video", "video_transformer", *_VISION),
    IdentityOptions: ("identity",),
}


def encoder_roots(options: EncoderOptions) -> tuple[str, ...]:
    """References of the encoder classes behind options, for the code of the task that extracts them."""
    return ()


def modules_of(options: EncoderOptions) -> tuple[str, ...]:
    """Names of the modules of this room whose code decides the vectors of these options."""
    frame = modules_of(options.image) if isinstance(options, FramesOptions) else ()
    return tuple(sorted({*_ENGINE, *_MODULES[type(options)], *frame}))


def open_encoder(
    options: EncoderOptions,
    media_root: Path,
    settings: EngineSettings | None = None,
    matrix: ReadyMatrix | None = None,
) -> Encoder:
    """The encoder for these options.

    Args:
        options: one entry of `features:`.
        media_root: the folder that media paths are relative to and may not leave.
        settings: device and folder of pretrained models.
        matrix: what stands behind `IdentityOptions.matrix`.
    """
    settings = settings or EngineSettings()
    for opening in (_open_text, _open_image, _open_audio, _open_video):
        encoder = opening(options, media_root, settings)
        if encoder is not None:
            return encoder
    if isinstance(options, IdentityOptions):
        return IdentityEncoder(options, _required(options, matrix))
    raise TypeError(f"no encoder is registered for {type(options).__name__}")


def _open_text(options: EncoderOptions, _: Path, settings: EngineSettings) -> Encoder | None:
    match options:
        case TfidfSvdOptions():
            from mrs_pipeline.encoders.tfidf_svd import TfidfSvdEncoder

            return TfidfSvdEncoder(options)
        case TextTransformerOptions():
            from mrs_pipeline.encoders.text_transformer import TextTransformerEncoder

            return TextTransformerEncoder(options, settings)
        case ClipTextOptions():
            from mrs_pipeline.encoders.clip import ClipTextEncoder

            return ClipTextEncoder(options, settings)
    return None


def _open_image(options: EncoderOptions, media_root: Path, settings: EngineSettings) -> Encoder | None:
    match options:
        case ColorGradientOptions():
            from mrs_pipeline.encoders.color_gradient import ColorGradientEncoder

            return ColorGradientEncoder(options, media_root)
        case ImageTransformerOptions():
            from mrs_pipeline.encoders.image_transformer import ImageTransformerEncoder

            return ImageTransformerEncoder(options, settings, media_root)
        case ClipImageOptions():
            from mrs_pipeline.encoders.clip import ClipImageEncoder

            return ClipImageEncoder(options, settings, media_root)
    return None


def _open_audio(options: EncoderOptions, media_root: Path, settings: EngineSettings) -> Encoder | None:
    match options:
        case LogMelOptions():
            from mrs_pipeline.encoders.log_mel import LogMelEncoder

            return LogMelEncoder(options, media_root)
        case AudioTransformerOptions():
            from mrs_pipeline.encoders.audio_transformer import AudioTransformerEncoder

            return AudioTransformerEncoder(options, settings, media_root)
    return None


def _open_video(options: EncoderOptions, media_root: Path, settings: EngineSettings) -> Encoder | None:
    match options:
        case FramesOptions():
            from mrs_pipeline.encoders.frames import FramesEncoder

            return FramesEncoder(options, open_encoder(options.image, media_root, settings), media_root)
        case VideoTransformerOptions():
            from mrs_pipeline.encoders.video_transformer import VideoTransformerEncoder

            return VideoTransformerEncoder(options, settings, media_root)
    return None


def _required(options: IdentityOptions, matrix: ReadyMatrix | None) -> ReadyMatrix:
    if matrix is None:
        raise InputError(
            f"features: {feature_set_name(options)} reads the matrix '{options.matrix}', which the source "
            f"does not have; put the file into the source's folder or correct the name"
        )
    return matrix
