"""Titles of the figures and the captions that say how to read them. Sentences about results: `narrative`."""

from collections.abc import Mapping
from typing import Final

Words = Mapping[str, tuple[str, str]]

RESULT_WORDS: Final[Words] = {
    "accuracy": (
        "Accuracy by model",
        "Each dot is a model's mean over users and seeds; the bar is the 95 % interval of that mean. Colour is the "
        "branch of the taxonomy. Bars that overlap may still differ: the paired test in the table compares "
        "the same users.",
    ),
    "time": (
        "Accuracy and its price",
        "Up is better, left is cheaper. The grey line joins the models that nothing cheaper beats.",
    ),
    "breadth": (
        "Accuracy and breadth",
        "Up is more accurate, right shows more of the catalogue to someone. A model far to the left gives nearly "
        "everybody the same lists, whatever its accuracy.",
    ),
    "cold": (
        "Warm and cold items",
        "Each panel ranks, and looks for, items of its kind only, on a scale of its own. Cold items have no "
        "interaction in training; only a model that reads their content can tell them apart.",
    ),
    "walk": (
        "Walk-forward",
        "Each point is a model trained on everything before the window and tested on the window's own "
        "events. Coloured are the leaders of the latest window, the best model without content and "
        "popularity.",
    ),
    "training": (
        "Training",
        "Over epochs. Above: the validation metric; the dot is the epoch that was kept. Below: the terms "
        "of the loss, on a log scale where all are positive. A validation line that still rises at its end "
        "asks for more epochs.",
    ),
}
DATA_WORDS: Final[Words] = {
    "over-time": ("Interactions over time", "Events a period, by what they were used for."),
    "coverage": (
        "Modality coverage",
        "Items whose content was there and could be read, one bar a feature set.",
    ),
    "tail": (
        "Long tail",
        "The further the line bends from the dashed diagonal, the fewer items hold most interactions.",
    ),
    "activity": (
        "User activity",
        "How many interactions users have; little history makes content matter more.",
    ),
}
FEATURE_WORDS: Final[Words] = {
    "spectrum": (
        "Spectrum",
        "How the variance spreads over directions. A steep fall means that the vectors lie in a thin slice "
        "of their space and tell items apart less than their width suggests.",
    ),
    "norms": (
        "Norms",
        "Lengths of the vectors. A spike at zero, or a second hill, points to content that was empty or of "
        "another kind.",
    ),
    "signal": (
        "Signal",
        "Mean cosine of items that the same people took (line), against the same pairs with the vectors dealt "
        "out restart (bars). A line among the bars says nothing about taste, or its rows belong to other items.",
    ),
}
EXPERIMENT_WORDS: Final[Words] = {
    "arms": (
        "Accuracy by arm",
        "Each dot is an arm's mean over users and seeds, the bar its 95 % interval over both, the thin whisker one "
        "standard deviation over seeds to either side; a dashed line is the one control of all. Bars that overlap may "
        "still differ: the table compares the same users.",
    ),
    "seconds": (
        "Accuracy and its price in time",
        "Up is better, left is cheaper. The grey line joins the arms that nothing cheaper beats.",
    ),
    "memory": ("Accuracy and its price in memory", "The most memory that each arm's process held."),
    "removed": (
        "Accuracy as content goes missing",
        "A line a model; the band is the 95 % interval over users and seeds. The dashed line never saw any content.",
    ),
    "parts": (
        "What each part knows",
        "Dark: all vectors together. Light: scored with one part alone. A part near zero carries nothing of its own.",
    ),
    "dependence": (
        "Independence of the parts",
        "Distance correlation between item vectors of different parts, over a sample of items.",
    ),
}
