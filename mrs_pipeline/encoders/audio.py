"""Audio decoded within bounds: length by header, only the wanted windows, one channel, one sample rate.

libsndfile reads wav, flac, ogg, mp3 and their like; soxr resamples. What an encoder makes of the samples
belongs to the encoder.
"""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrs_pipeline.encoders.base import ContentError
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from soundfile import SoundFile

RATES = (1_000, 192_000)
"""Sample rates in Hz that a header may state; others are damage."""
MAX_CHANNELS = 8
"""More would make a window too large; no catalogue has them."""
SHORTEST_SECONDS = 0.05
"""Less sound than this holds no spectrum."""


@dataclass(frozen=True)
class Windows:
    """Which part of a clip is heard.

    Attributes:
        rate: samples a second of the result.
        seconds: length of a window.
        most: windows at most.
        max_seconds: longer clips are refused by their header.
    """

    rate: int
    seconds: float
    most: int
    max_seconds: float

    def read(self, data: bytes) -> list[FloatArray]:
        """Windows of a clip, each [rate * seconds] float32, evenly spaced, first at the start and last at the end.

        As many as fit without overlap, but at least one; a clip shorter than one window is repeated to fill
        it, so that all windows have one length and a batch needs no padding (which would leak into the
        vectors of some architectures).

        Raises:
            ContentError: not audio, too long, too short, silent decoder, or not finite.
        """
        import soundfile

        try:
            with soundfile.SoundFile(io.BytesIO(data)) as file:
                return self._read(file)
        except soundfile.SoundFileError as error:
            reason = getattr(error, "error_string", error)
            raise ContentError(f"not audio that libsndfile can read: {reason}") from None

    def _read(self, file: "SoundFile") -> list[FloatArray]:
        duration = self._checked_duration(file)
        count = min(self.most, max(1, int(duration / self.seconds)))
        starts = np.linspace(0, max(duration - self.seconds, 0), count)
        return [self._window(file, float(start)) for start in starts]

    def _checked_duration(self, file: "SoundFile") -> float:
        if not RATES[0] <= file.samplerate <= RATES[1] or file.channels > MAX_CHANNELS:
            raise ContentError(f"audio header states {file.samplerate} Hz and {file.channels} channels")
        duration = float(file.frames / file.samplerate)
        if duration > self.max_seconds:
            raise ContentError(f"audio lasts {duration:,.0f} s, more than max_seconds = {self.max_seconds:g}")
        if duration < SHORTEST_SECONDS:
            raise ContentError(f"audio lasts {duration:.3f} s, too short to hold a spectrum")
        return duration

    def _window(self, file: "SoundFile", start: float) -> FloatArray:
        import soxr

        file.seek(int(start * file.samplerate))
        samples = file.read(round(self.seconds * file.samplerate), dtype="float32", always_2d=True).mean(
            axis=1
        )
        if len(samples) < SHORTEST_SECONDS * file.samplerate:
            raise ContentError("audio ends before its header says; the file is truncated")
        if not np.isfinite(samples).all():
            raise ContentError("audio holds samples that are not finite")
        heard: FloatArray = np.asarray(soxr.resample(samples, file.samplerate, self.rate), dtype=np.float32)
        return np.resize(heard, round(self.seconds * self.rate))
