"""The eight tastes that are planted in the demonstration catalogue, as data.

Which colours, words and notes a taste prefers. How these are drawn, written and played is in `pictures`,
`words` and `sounds`. Some tastes share colours, words or a register on purpose: no modality alone tells all.
"""

from dataclasses import dataclass
from typing import Final

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Taste:
    """One planted taste.

    Attributes:
        name: also the name of its picture motif.
        genre: the category that its records mostly carry.
        colours: background top, background bottom, then three for the motif.
        adjectives, nouns, verbs: its vocabulary.
        scale: semitones above the root that its melodies use.
        root: MIDI number of the root.
        tempo: notes a second.
        harmonics: loudness of the partials of a note.
        decay: how fast a note fades, 1/s.
        noise: loudness of the percussion.
    """

    name: str
    genre: str
    colours: tuple[Colour, Colour, Colour, Colour, Colour]
    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    scale: tuple[int, ...]
    root: int
    tempo: float
    harmonics: tuple[float, ...]
    decay: float
    noise: float


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TASTES: Final[tuple[Taste, ...]] = (
    Taste(
        name="tide",
        genre="ambient",
        colours=((214, 236, 240), (94, 170, 190), (40, 122, 150), (18, 84, 120), (8, 48, 84)),
        adjectives=_words("salt drifting tidal pearl misty slow deep silver"),
        nouns=_words("harbour lagoon horizon shoreline coral anchor gull foam current swell pier lighthouse"),
        verbs=_words("drifts swells ebbs floats"),
        scale=(0, 4, 7, 11, 14),
        root=50,
        tempo=1.5,
        harmonics=(1.0, 0.25),
        decay=1.2,
        noise=0.06,
    ),
    Taste(
        name="grove",
        genre="folk",
        colours=((238, 236, 206), (168, 196, 140), (96, 142, 92), (52, 104, 72), (24, 64, 50)),
        adjectives=_words("mossy cedar woodland barefoot rustling evergreen hollow quiet"),
        nouns=_words("fern trail brook lantern pine meadow owl bark clearing acorn cabin thicket"),
        verbs=_words("wanders rustles climbs hums"),
        scale=(0, 2, 4, 7, 9),
        root=55,
        tempo=4.0,
        harmonics=(1.0, 0.6, 0.4, 0.25, 0.15),
        decay=7.0,
        noise=0.02,
    ),
    Taste(
        name="neon",
        genre="synthwave",
        colours=((40, 14, 84), (204, 50, 140), (255, 206, 92), (84, 236, 240), (250, 92, 190)),
        adjectives=_words("electric chrome midnight pixelated laser glowing turbo analogue"),
        nouns=_words(
            "arcade skyline cassette highway circuit hologram cursor grid modem signal antenna console"
        ),
        verbs=_words("pulses glows accelerates flickers"),
        scale=(0, 3, 7, 10, 12),
        root=45,
        tempo=8.0,
        harmonics=(1.0, 0.5, 0.33, 0.25, 0.2, 0.16),
        decay=5.0,
        noise=0.10,
    ),
    Taste(
        name="dune",
        genre="desert blues",
        colours=((252, 222, 170), (240, 160, 92), (220, 116, 62), (176, 74, 48), (112, 40, 40)),
        adjectives=_words("dusty scorched amber endless nomadic burnished dry distant"),
        nouns=_words("caravan mirage canyon oasis ember saddle mesa sandstone compass well raven steppe"),
        verbs=_words("smoulders rides shimmers stretches"),
        scale=(0, 1, 4, 5, 7),
        root=52,
        tempo=3.0,
        harmonics=(1.0, 0.05, 0.6, 0.05, 0.4),
        decay=4.0,
        noise=0.04,
    ),
    Taste(
        name="frost",
        genre="minimal",
        colours=((244, 248, 252), (176, 204, 228), (255, 255, 255), (122, 160, 204), (92, 98, 158)),
        adjectives=_words("frozen crystalline hushed glassy pale northern weightless still"),
        nouns=_words("glacier snowfall prism icicle aurora winter feather lattice tundra mirror flake fjord"),
        verbs=_words("settles glitters hovers cracks"),
        scale=(0, 5, 7, 12, 14),
        root=76,
        tempo=2.5,
        harmonics=(1.0, 0.0, 0.35, 0.0, 0.0, 0.25),
        decay=3.0,
        noise=0.01,
    ),
    Taste(
        name="bloom",
        genre="chamber pop",
        colours=((252, 240, 226), (246, 196, 196), (226, 92, 130), (250, 170, 110), (110, 160, 100)),
        adjectives=_words("velvet blossoming tender honeyed sunlit rosy fragrant gentle"),
        nouns=_words("petal garden orchard waltz ribbon honey teacup meadow swallow balcony peony letter"),
        verbs=_words("unfolds twirls blushes opens"),
        scale=(0, 4, 7, 9, 12),
        root=64,
        tempo=4.5,
        harmonics=(1.0, 0.45, 0.1),
        decay=4.0,
        noise=0.02,
    ),
    Taste(
        name="noir",
        genre="jazz",
        colours=((44, 44, 52), (18, 18, 24), (190, 190, 186), (176, 30, 40), (92, 92, 100)),
        adjectives=_words("smoky midnight crooked velvet shadowed late lonesome blue"),
        nouns=_words(
            "alley saxophone detective taxi lipstick rain streetlamp whiskey trumpet keyhole motel stairwell"
        ),
        verbs=_words("smoulders lingers slips confesses"),
        scale=(0, 3, 6, 10, 14),
        root=43,
        tempo=3.5,
        harmonics=(1.0, 0.7, 0.3, 0.2),
        decay=3.5,
        noise=0.14,
    ),
    Taste(
        name="carnival",
        genre="dance",
        colours=((255, 226, 120), (250, 150, 90), (236, 60, 90), (50, 150, 220), (110, 70, 190)),
        adjectives=_words("dazzling brassy dizzy spinning loud festive electric sunlit"),
        nouns=_words(
            "parade confetti carousel drumline balloon trumpet plaza firework dancer sugar mask lantern"
        ),
        verbs=_words("jumps spins explodes parades"),
        scale=(0, 4, 7, 12),
        root=57,
        tempo=7.0,
        harmonics=(1.0, 0.8, 0.5, 0.4, 0.3),
        decay=9.0,
        noise=0.35,
    ),
)

GENRES: Final = tuple(taste.genre for taste in TASTES)
