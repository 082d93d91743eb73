"""What a record of the demonstration catalogue is called, and how it is described.

Titles and blurbs only; attributes such as label and price are in `shelf`.
"""

import re
from typing import Final

import numpy as np

from mrs_pipeline.ingest.demo.tastes import TASTES

_STRAY: Final = 0.2
"""Share of words that come from another taste."""

_BLURBS: Final = (
    "a {adjective} record about a {noun} and a {noun}.",
    "the {noun} {verb}, the {noun} {verb}, and the band keeps {shared}.",
    "recorded in one {shared} week, it {verb} like a {adjective} {noun}.",
    "eight songs of {adjective} {noun} and {shared} rhythm.",
    "side two opens with a {adjective} {noun} that {verb}.",
    "play it {shared}: every {noun} here is {adjective}.",
    "listeners will find a {noun}, a {adjective} {noun} and a {shared} chorus.",
    "it {verb} and {verb}, as {adjective} as any {noun}.",
)

_TITLES: Final = (
    "{adjective} {noun}",
    "{noun} and {noun}",
    "the {adjective} {noun}",
    "the {noun} {verb}",
    "to the {noun}",
)

_SHARED: Final = (
    *("steady", "patient", "bold", "familiar", "loud", "soft", "simple", "restless", "honest", "warm"),
    *("curious", "early", "late", "long", "short", "new", "old", "bright", "careful", "easy"),
)

_SLOT: Final = re.compile(r"\{(\w+)\}")


def title(rng: np.random.Generator, style: int) -> str:
    """Two to four words, such as `The Drifting Lagoon`."""
    words = _filled(rng, _TITLES[rng.integers(len(_TITLES))], style).split()
    return " ".join(word if word == "and" else word.capitalize() for word in words)


def description(rng: np.random.Generator, style: int) -> str:
    """Three sentences, most words from the vocabulary of one taste."""
    chosen = rng.choice(len(_BLURBS), size=3, replace=False)
    return " ".join(_sentence(_filled(rng, _BLURBS[number], style)) for number in chosen)


def _sentence(text: str) -> str:
    articled = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return articled[:1].upper() + articled[1:]


def _filled(rng: np.random.Generator, template: str, style: int) -> str:
    """Replace each slot by a word of its kind, most often of the given taste."""
    return _SLOT.sub(lambda slot: _word(rng, slot.group(1), style), template)


def _word(rng: np.random.Generator, kind: str, style: int) -> str:
    taste = TASTES[rng.integers(len(TASTES)) if rng.random() < _STRAY else style]
    words = {"adjective": taste.adjectives, "noun": taste.nouns, "verb": taste.verbs, "shared": _SHARED}[kind]
    return words[rng.integers(len(words))]
