"""Audio without learned weights: statistics of the log-mel spectrogram and of its cepstrum.

Mean and standard deviation over time of the log-mel bands (Slaney's mel scale, Auditory Toolbox 1998), of the
MFCC (their discrete cosine transform; Davis and Mermelstein, 1980), and the standard deviation of the MFCC's
change from frame to frame. The clip's mean level is subtracted, so loudness does not count. NumPy and SciPy
only: librosa gives the same numbers but takes seconds to start in every worker. Learned audio encoders are
`audio_transformer.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from mrs_pipeline.encoders.audio import Windows
from mrs_pipeline.encoders.base import Content, Encoder, Surroundings
from mrs_pipeline.encoders.files import MediaFolder, media_folder, media_references
from mrs_pipeline.encoders.options import AudioOptions
from mrs_pipeline.types import FloatArray

RATE = 16_000
"""Hz; holds speech and most of music's timbre."""
FRAME = 1024
"""Samples of a frame, 64 ms."""
HOP = 512
"""Samples between frames, 32 ms."""
_FLOOR = 1e-10
"""Power below which a band counts as silent (-100 dB)."""
_DECIBELS = 20.0
"""Divides the decibels, so that all parts have the same order of magnitude."""


class LogMelOptions(AudioOptions):
    """Statistics of the log-mel spectrogram and of its cepstrum, without any learned weights."""

    encoder: Literal["log_mel"]
    window_seconds: float = Field(default=10, ge=0.1, le=120)
    """Length of a window."""
    bands: int = Field(default=64, ge=8, le=256)
    """Mel bands."""
    coefficients: int = Field(default=20, ge=2, le=64)
    """Cepstral coefficients (MFCC); fewer than bands."""

    @model_validator(mode="after")
    def _fewer_than_bands(self) -> Self:
        if self.coefficients >= self.bands:
            raise ValueError(f"coefficients {self.coefficients} must be fewer than bands {self.bands}")
        return self


class LogMelEncoder(Encoder):
    """Decoding and measuring both happen in the loader, so they run in worker processes."""

    Options = LogMelOptions
    in_processes = True

    def __init__(self, options: LogMelOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        windows = Windows(RATE, options.window_seconds, options.windows, options.max_seconds)
        self._loader = _StatisticsLoader(options, media_folder(options, surroundings.media_root), windows)

    @property
    def dimensions(self) -> int:
        """Two for each band, three for each coefficient."""
        options = self._loader.options
        return 2 * options.bands + 3 * options.coefficients

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._loader.options, items)

    def loader(self) -> "_StatisticsLoader":
        """Reads a clip and measures it."""
        return self._loader

    def encode(self, payloads: Sequence[FloatArray]) -> FloatArray:
        """[B, F]: the loader has done the work."""
        return np.stack(payloads)


@dataclass(frozen=True)
class _StatisticsLoader:
    options: LogMelOptions
    folder: MediaFolder
    windows: Windows

    def read(self, reference: str) -> Content:
        return self.folder.read(reference)

    def decode(self, content: Content) -> FloatArray:
        return statistics(self.windows.read(content.data), self.options)


def statistics(windows: Sequence[FloatArray], options: LogMelOptions) -> FloatArray:
    """[F] of windows of samples at `RATE`: mean and deviation of bands, then of MFCC, then deviation of its change."""
    from scipy.fft import dct

    spectra = [log_mel(window, options.bands) for window in windows]
    # Coefficient 0 is the level, which does not count; the ones after it are the shape of the spectrum.
    cepstra = [dct(spectrum, axis=1, norm="ortho")[:, 1 : options.coefficients + 1] for spectrum in spectra]
    spectrum, cepstrum = np.concatenate(spectra), np.concatenate(cepstra)
    change = np.concatenate([np.diff(part, axis=0) for part in cepstra])
    parts = (
        spectrum.mean(0) - spectrum.mean(),
        spectrum.std(0),
        cepstrum.mean(0),
        cepstrum.std(0),
        change.std(0),
    )
    return (np.concatenate(parts) / _DECIBELS).astype(np.float32)


def log_mel(samples: FloatArray, bands: int) -> npt.NDArray[np.float64]:
    """[frames, bands] log-mel power in decibels of at least `FRAME` samples at `RATE`."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * _hann(), axis=1)) ** 2
    decibels: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(power @ mel_filters(bands).T, _FLOOR))
    return decibels


@lru_cache(maxsize=1)
def _hann() -> npt.NDArray[np.float64]:
    """[FRAME] periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)


@lru_cache(maxsize=4)
def mel_filters(bands: int) -> npt.NDArray[np.float64]:
    """[bands, FRAME / 2 + 1] triangles of equal area on Slaney's mel scale, from 0 Hz to half of `RATE`."""
    edges = _mel_to_hertz(np.linspace(0, _hertz_to_mel(RATE / 2), bands + 2))
    bins = np.fft.rfftfreq(FRAME, 1 / RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    filters: npt.NDArray[np.float64] = triangles * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters


_LINEAR = 200 / 3
"""Hz a mel below the break."""
_BREAK = 1000.0
"""Hz where the scale turns from linear to logarithmic."""
_STEP = np.log(6.4) / 27
"""Logarithm of the ratio between neighbouring mels above the break."""


def _hertz_to_mel(hertz: float) -> float:
    return hertz / _LINEAR if hertz < _BREAK else _BREAK / _LINEAR + float(np.log(hertz / _BREAK)) / _STEP


def _mel_to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    corner = _BREAK / _LINEAR
    return np.where(mel < corner, mel * _LINEAR, _BREAK * np.exp(_STEP * (np.maximum(mel, corner) - corner)))
