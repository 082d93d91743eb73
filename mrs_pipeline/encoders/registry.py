"""Opens the encoder that options name. Its file, and the libraries it needs, are imported only then."""

from pathlib import Path

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
        matrix: the file behind `IdentityOptions.matrix`.
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
    if options.id_column is not None and options.id_column != matrix.id_column:
        return ReadyMatrix(matrix.path, options.id_column, matrix.row_ids)
    return matrix
