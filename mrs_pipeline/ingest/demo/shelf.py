"""The attributes of the demonstration catalogue: category, artist, label, price band, format, release.

Category and artist lean on the record's taste, the price band a little, format not at all.
"""

from typing import Final

import numpy as np

from mrs_pipeline.ingest.demo.market import FIRST_MONTH, Records
from mrs_pipeline.ingest.demo.tastes import GENRES

_TRUE_CATEGORY: Final = 0.6
_TRUE_ARTIST: Final = 0.85
_ARTISTS_PER_TASTE: Final = 9

_FIRST_NAMES: Final = (
    *("Ada", "Bruno", "Carmen", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Igor", "Juno", "Kofi", "Lena"),
    *("Milo", "Nadia", "Oskar", "Petra", "Quinn", "Rosa", "Sami", "Tove", "Umar", "Vera", "Wanda", "Yuki"),
)
_LAST_NAMES: Final = ("Alder", "Brandt", "Castell", "Dahl", "Ferro", "Grove", "Holm", "Iversen", "Kestrel")
_LABELS: Final = ("Copper", "Kite", "Harbour", "Lantern", "Maple", "Orbit", "Paper", "Tin")
_FORMATS: Final = ("vinyl", "cassette", "digital")
_PRICES: Final = ("low", "middle", "high")


def attributes(rng: np.random.Generator, records: Records) -> dict[str, list[str]]:
    """Column -> [I] values."""
    I, T = len(records.taste), len(GENRES)  # noqa: E741 - shape letter
    genre = np.where(rng.random(I) < _TRUE_CATEGORY, records.taste, rng.integers(0, T, I))
    home = np.where(rng.random(I) < _TRUE_ARTIST, records.taste, rng.integers(0, T, I))
    artist = home * _ARTISTS_PER_TASTE + rng.integers(0, _ARTISTS_PER_TASTE, I)
    label = np.where(rng.random(I) < 0.5, records.taste, rng.integers(0, len(_LABELS), I))
    price = np.clip(records.taste % 3 + rng.integers(-1, 2, I), 0, 2)
    months = np.datetime64(FIRST_MONTH, "M") + records.release
    return {
        "category": [GENRES[number] for number in genre],
        "artist": [_artist(int(number)) for number in artist],
        "label": [f"{_LABELS[number]} Records" for number in label],
        "price_band": [_PRICES[number] for number in price],
        "format": [_FORMATS[number] for number in rng.integers(0, len(_FORMATS), I)],
        "released": [str(month) for month in months],
    }


def _artist(number: int) -> str:
    # Steps without a common factor, so that neighbours in number do not share a name.
    return f"{_FIRST_NAMES[number * 7 % len(_FIRST_NAMES)]} {_LAST_NAMES[number % len(_LAST_NAMES)]}"
