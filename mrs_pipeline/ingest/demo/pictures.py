"""The cover of a record of the demonstration catalogue: a gradient, the taste's motif, grain.

Drawing only; writing the file is `writer`'s work. Each motif is a function of (canvas, rng, colours).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.ingest.demo.tastes import TASTES, Colour

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

PICTURE_SIZE: Final = 112
_CANVAS: Final = 2 * PICTURE_SIZE
"""Drawn twice as large and halved, which smooths edges."""
_COLOUR_SPREAD: Final = 13.0
_GRAIN: Final = 5.0

Motif = Callable[["ImageDraw", np.random.Generator, Sequence[Colour]], None]


def cover(rng: np.random.Generator, style: int, accent: int) -> "Image":
    """An RGB cover, 112 x 112.

    Args:
        rng: the record's own stream.
        style: the taste that it shows.
        accent: the taste that lends it one colour.
    """
    return _grained(rng, scene(rng, style, accent).reduce(2))


def scene(rng: np.random.Generator, style: int, accent: int) -> "Image":
    """What a cover shows, twice as large, without grain."""
    from PIL import Image, ImageDraw

    colours = [_varied(rng, colour) for colour in TASTES[style].colours]
    if rng.random() < 0.5:
        colours[int(rng.integers(2, 5))] = _varied(rng, TASTES[accent].colours[int(rng.integers(2, 5))])
    image = Image.fromarray(_gradient(colours[0], colours[1]))
    draw = ImageDraw.Draw(image)
    MOTIFS[TASTES[style].name](draw, rng, colours)
    if rng.random() < 0.35:
        draw.rectangle(
            (0, 0, _CANVAS - 1, _CANVAS - 1), outline=(246, 242, 232), width=int(rng.integers(8, 18))
        )
    return image


def _varied(rng: np.random.Generator, colour: Colour) -> Colour:
    r, g, b = np.clip(np.array(colour) + rng.normal(0, _COLOUR_SPREAD, 3), 0, 255).astype(int).tolist()
    return r, g, b


def _gradient(top: Colour, bottom: Colour) -> npt.NDArray[np.uint8]:
    part = np.linspace(0, 1, _CANVAS)[:, None, None]
    column = (1 - part) * np.array(top) + part * np.array(bottom)
    return np.broadcast_to(column, (_CANVAS, _CANVAS, 3)).astype(np.uint8)


def _grained(rng: np.random.Generator, image: "Image") -> "Image":
    from PIL import Image

    pixels = np.asarray(image, np.float64) + rng.normal(0, _GRAIN, (PICTURE_SIZE, PICTURE_SIZE, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _band(draw: "ImageDraw", heights: npt.NDArray[np.float64], colour: Colour) -> None:
    """Fill everything below a line given by its height at each column."""
    xs = np.linspace(0, _CANVAS, len(heights))
    points = [(float(x), float(y)) for x, y in zip(xs, heights, strict=True)]
    draw.polygon([(0.0, float(_CANVAS)), *points, (float(_CANVAS), float(_CANVAS))], fill=colour)


def _disc(draw: "ImageDraw", x: float, y: float, radius: float, colour: Colour) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _tide(draw: "ImageDraw", rng: np.random.Generator, colours: Sequence[Colour]) -> None:
    """Waves, one behind the other, and perhaps a moon."""
    if rng.random() < 0.6:
        _disc(draw, rng.uniform(50, 174), rng.uniform(30, 70), rng.uniform(12, 24), (250, 248, 236))
    x = np.linspace(0, 2 * np.pi, 49)
    waves = int(rng.integers(4, 7))
    for wave in range(waves):
        level = 80 + wave * 140 / waves
        line = level + rng.uniform(5, 12) * np.sin(rng.uniform(1.5, 3.5) * x + rng.uniform(0, 6.3))
        _band(draw, line, colours[2 + wave * 3 // waves])


def _grove(draw: "ImageDraw", rng: np.random.Generator, colours: Sequence[Colour]) -> None:
    """Rows of pines, the nearer the darker and taller."""
    for row in range(3):
        foot, height = 120 + 52 * row, 60 + 26 * row
        for x in np.arange(-10, _CANVAS + 20, rng.uniform(26, 44)) + rng.uniform(-12, 12):
            tall, wide = height * rng.uniform(0.7, 1.15), rng.uniform(14, 24)
            for tier in (0.0, 0.3, 0.55):
                top = foot - tall * (1 - tier)
                draw.polygon(
                    [(x, top), (x - wide * (0.5 + tier), foot), (x + wide * (0.5 + tier), foot)],
                    fill=colours[2 + row],
                )
        draw.rectangle((0, foot, _CANVAS, _CANVAS), fill=colours[2 + row])


def _neon(draw: "ImageDraw", rng: np.random.Generator, colours: Sequence[Colour]) -> None:
    """A striped sun above a floor of lines."""
    x, y, radius = rng.uniform(80, 144), rng.uniform(80, 104), rng.uniform(38, 56)
    _disc(draw, x, y, radius, colours[2])
    for stripe in range(5):
        top = y + radius * (0.1 + 0.18 * stripe)
        draw.rectangle((x - radius, top, x + radius, top + 2 + stripe), fill=(120, 30, 120))
    horizon = y + radius * 0.75
    draw.rectangle((0, horizon, _CANVAS, _CANVAS), fill=(26, 8, 52))
    for step in range(1, 8):
        level = horizon + (_CANVAS - horizon) * (step / 7) ** 2
        draw.line((0, level, _CANVAS, level), fill=colours[3], width=2)
    for ray in np.linspace(-500, 724, 17):
        draw.line((x + (ray - 112) * 0.12, horizon, ray, _CANVAS), fill=colours[4], width=2)


def _dune(draw: "ImageDraw", rng: np.random.Generator, colours: Sequence[Colour]) -> None:
    """A low sun and smooth hills."""
    _disc(draw, rng.uniform(40, 184), rng.uniform(50, 90), rng.uniform(16, 30), (255, 240, 200))
    x = np.linspace(0, 1, 33)
    for hill in range(3):
        centre, width = rng.uniform(0.0, 1.0), rng.uniform(0.25, 0.5)
        rise = rng.uniform(30, 60) * np.exp(-(((x - centre) / width) ** 2))
        _band(draw, 130 + 32 * hill - rise + rng.uniform(-6, 6), colours[2 + hill])


def _frost(draw: "ImageDraw", rng: np.random.Generator, colours: Sequence[Colour]) -> None:
    """Snow crystals of several sizes."""
    for _ in range(int(rng.integers(5, 9))):
        x, y, radius = rng.uniform(10, 214), rng.uniform(10, 214), float(rng.choice((14, 22, 34, 52)))
        colour, turn = colours[int(rng.integers(2, 5))], rng.uniform(0, np.pi / 3)
        for arm in range(6):
            angle = turn + arm * np.pi / 3
            end = (x + radius * np.cos(angle), y + radius * np.sin(angle))
            draw.line((x, y, *end), fill=colour, width=3)
            for side in (-0.6, 0.6):
                knot = (x + 0.6 * radius * np.cos(angle), y + 0.6 * radius * np.sin(angle))
                tip = (
                    knot[0] + 0.3 * radius * np.cos(angle + side),
                    knot[1] + 0.3 * radius * np.sin(angle + side),
                )
                draw.line((*knot, *tip), fill=colour, width=2)


def _bloom(draw: "ImageDraw", rng: np.random.Generator, colours: Sequence[Colour]) -> None:
    """Flowers on stems."""
    for _ in range(int(rng.integers(4, 8))):
        x, y, radius = rng.uniform(20, 204), rng.uniform(30, 160), rng.uniform(14, 30)
        draw.line((x, y, x + rng.uniform(-16, 16), _CANVAS), fill=colours[4], width=5)
        petals, turn = int(rng.integers(5, 8)), rng.uniform(0, 1)
        for petal in range(petals):
            angle = turn + petal * 2 * np.pi / petals
            _disc(
                draw,
                x + radius * np.cos(angle) * 0.8,
                y + radius * np.sin(angle) * 0.8,
                radius * 0.55,
                colours[2],
            )
        _disc(draw, x, y, radius * 0.45, colours[3])


def _noir(draw: "ImageDraw", rng: np.random.Generator, colours: Sequence[Colour]) -> None:
    """Slanted light through blinds, and one red shape."""
    slope, gap = rng.uniform(-60, 60), rng.uniform(22, 34)
    for level in np.arange(-60, _CANVAS + 60, gap):
        draw.polygon(
            [
                (0, level),
                (_CANVAS, level + slope),
                (_CANVAS, level + slope + gap * 0.35),
                (0, level + gap * 0.35),
            ],
            fill=colours[4],
        )
    x, wide = rng.uniform(30, 150), rng.uniform(24, 60)
    draw.rectangle((x, rng.uniform(60, 120), x + wide, _CANVAS), fill=(12, 12, 16))
    _disc(draw, rng.uniform(40, 184), rng.uniform(40, 130), rng.uniform(14, 32), colours[3])
    if rng.random() < 0.5:
        draw.line((0, rng.uniform(0, 224), _CANVAS, rng.uniform(0, 224)), fill=colours[2], width=4)


def _carnival(draw: "ImageDraw", rng: np.random.Generator, colours: Sequence[Colour]) -> None:
    """Confetti, and a few garlands of flags."""
    for _ in range(int(rng.integers(40, 70))):
        x, y, radius = rng.uniform(0, 224), rng.uniform(0, 224), rng.uniform(4, 13)
        colour = colours[int(rng.integers(2, 5))]
        if rng.random() < 0.6:
            _disc(draw, x, y, radius, colour)
        else:
            draw.rectangle((x - radius, y - radius / 2, x + radius, y + radius / 2), fill=colour)
    level = rng.uniform(20, 60)
    for number in range(_CANVAS // 28):
        left = 28 * number
        draw.polygon(
            [(left, level), (left + 28, level), (left + 14, level + 34)], fill=colours[2 + number % 3]
        )


MOTIFS: Final[dict[str, Motif]] = {
    "tide": _tide,
    "grove": _grove,
    "neon": _neon,
    "dune": _dune,
    "frost": _frost,
    "bloom": _bloom,
    "noir": _noir,
    "carnival": _carnival,
}
