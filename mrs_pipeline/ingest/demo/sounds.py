"""How a record of the demonstration catalogue sounds: a second and a half of melody and percussion.

Synthesis only; writing the file is `writer`'s work.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.ingest.demo.tastes import TASTES, Taste

SAMPLE_RATE: Final = 8_000
_SECONDS: Final = 1.5
_PEAK: Final = 0.7

Signal = npt.NDArray[np.float64]


def sample(rng: np.random.Generator, style: int) -> npt.NDArray[np.int16]:
    """[12,000] 16-bit samples at 8 kHz: notes of the taste's scale at its tempo, over its percussion."""
    taste = TASTES[style]
    signal = np.zeros(int(SAMPLE_RATE * _SECONDS))
    tempo = taste.tempo * rng.uniform(0.85, 1.15)
    root = taste.root + int(rng.integers(-3, 4))
    for onset in np.arange(rng.uniform(0, 0.08), _SECONDS - 0.05, 1 / tempo):
        start = int(onset * SAMPLE_RATE)
        pitch = root + int(rng.choice(taste.scale))
        signal[start:] += _note(taste, pitch, len(signal) - start)
        signal[start:] += _hit(rng, taste, len(signal) - start)
    signal += rng.normal(0, 0.002, len(signal))
    signal *= _PEAK / np.abs(signal).max()
    return np.rint(signal * 32_767).astype(np.int16)


def _note(taste: Taste, pitch: int, length: int) -> Signal:
    """A fading tone with the taste's partials, those above the Nyquist frequency left out."""
    time = np.arange(length) / SAMPLE_RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    tone = np.zeros(length)
    for number, loudness in enumerate(taste.harmonics, start=1):
        if number * frequency < SAMPLE_RATE / 2:
            tone += loudness * np.sin(2 * np.pi * number * frequency * time)
    attack = np.minimum(time / 0.01, 1)
    return attack * np.exp(-taste.decay * time) * tone


def _hit(rng: np.random.Generator, taste: Taste, length: int) -> Signal:
    """A short burst of noise."""
    time = np.arange(min(length, SAMPLE_RATE // 5)) / SAMPLE_RATE
    burst = np.zeros(length)
    burst[: len(time)] = 3 * taste.noise * rng.normal(0, 1, len(time)) * np.exp(-40 * time)
    return burst
