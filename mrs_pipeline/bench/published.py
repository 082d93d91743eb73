"""What others published for models on the rows of the benchmark packs: figures as facts, each with where it stands.

A figure is worth as much as its protocol: on which users, with which content, and what was looked at to choose settings
and epoch. `bench.ledger` puts our runs beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Chosen(StrEnum):
    """What settings and epoch of a published run were chosen on."""

    VALIDATION = "validation"
    EPOCH_ON_VALIDATION = "epoch on validation; settings not said"
    SETTINGS_ON_THESE_USERS = "epoch on validation, settings on these users"
    THESE_USERS = "these users"
    EPOCH_ON_THESE_USERS = "epoch on these users"
    UNKNOWN = "not said"


@dataclass(frozen=True)
class Rows:
    """Test rows that figures are about.

    Attributes:
        dataset: the benchmark pack.
        title: what the rows are called on the page.
        items: candidates that there are, before those of training are left out.
        remark: what a reader must know before they compare.
        ours: whether our test rows are these.
    """

    dataset: str
    title: str
    items: int
    remark: str
    ours: bool = True


@dataclass(frozen=True)
class PublishedFigure:
    """One run of somebody else.

    Attributes:
        rows: which test rows.
        model: our name of the model where we have it, else the paper's.
        recall: recall@20.
        by: who measured it.
        content: the modalities that the model was given.
        chosen: what settings and epoch were chosen on.
    """

    rows: Rows
    model: str
    recall: float
    by: str
    content: str
    chosen: Chosen


_TIKTOK: Final = Rows(
    "tiktok",
    "tiktok, 6,125 users of the test file",
    6710,
    "The test file of MMSSL, which DiffMM and MMHCL use as it is: 6,130 rows of 6,125 users who train. Our "
    "pack has image and audio; the texts that others had (768 numbers an item) are not in it. DA-MRS took "
    "this file for validation (see below), so what its log calls its best validation is a figure on these "
    "users, for settings and epoch that were chosen on them.",
)
_TIKTOK_OTHER: Final = Rows(
    "tiktok",
    "tiktok, 3,046 users of the validation file",
    6710,
    "DA-MRS, and DGMRec after it, read the validation file as test and the test file as validation. Their "
    "figures are on these 3,046 users, and papers that print them beside figures of the line above compare "
    "two groups of people.",
    ours=False,
)
_BABY: Final = Rows(
    "baby",
    "baby, 19,445 users",
    7050,
    "The random split of MMRec, as its files label it. Our pack has no content for it, so models that need "
    "some are listed without a run of ours. MMRec chooses settings by their recall on these very users (issue"
    " 64 there).",
)

_MMREC_RUN: Final = "MMRec e775373, run by us on the same pack"
_DAMRS: Final = "DA-MRS, log"
_MMSSL: Final = "MMSSL, README"
_MMREC: Final = "MMRec, README"
_IA: Final = "image, audio"
_IAT: Final = "image, audio, text"
_IT: Final = "image, text"
_NONE: Final = "none"
_COLLABORATIVE: Final = ("bpr_mf", "lightgcn", "NGCF", "sgl", "simgcl")


def _column(
    rows: Rows, by: str, content: str, chosen: Chosen, figures: Mapping[str, float]
) -> list[PublishedFigure]:
    """The figures of one source."""
    return [
        PublishedFigure(rows, model, recall, by, _NONE if model in _COLLABORATIVE else content, chosen)
        for model, recall in figures.items()
    ]


PUBLISHED: Final[tuple[PublishedFigure, ...]] = (
    *_column(
        _TIKTOK,
        _MMREC_RUN,
        _IA,
        Chosen.VALIDATION,
        {
            "lightgcn": 0.0922,
            "vbpr": 0.0224,
            "bm3": 0.0918,
            "freedom": 0.0885,
            "mgcn": 0.1074,
            "mmgcn": 0.0846,
        },
    ),
    *_column(
        _TIKTOK,
        _DAMRS,
        _IAT,
        Chosen.THESE_USERS,
        {
            "DA-MRS": 0.1066,
            "bm3": 0.1014,
            "slmrec": 0.1009,
            "simgcl": 0.0994,
            "sgl": 0.0993,
            "lightgcn": 0.0898,
            "lattice": 0.0898,
            "mmgcn": 0.0829,
            "NGCF": 0.0762,
            "mmssl": 0.0740,
            "grcn": 0.0661,
            "bpr_mf": 0.0557,
            "vbpr": 0.0462,
        },
    ),
    *_column(
        _TIKTOK,
        _MMSSL,
        _IAT,
        Chosen.EPOCH_ON_VALIDATION,
        {
            "mmssl": 0.0921,
            "slmrec": 0.0845,
            "lattice": 0.0843,
            "grcn": 0.0804,
            "mmgcl": 0.0799,
            "mmgcn": 0.0730,
            "lightgcn": 0.0653,
            "clcrec": 0.0621,
            "NGCF": 0.0604,
            "sgl": 0.0603,
            "vbpr": 0.0380,
            "bpr_mf": 0.0346,
        },
    ),
    PublishedFigure(_TIKTOK, "MMHCL", 0.1139, "MMHCL, log", _IAT, Chosen.UNKNOWN),
    PublishedFigure(_TIKTOK, "lgmrec", 0.0709, "MMHCL, log", _IAT, Chosen.UNKNOWN),
    PublishedFigure(_TIKTOK, "DiffMM", 0.1129, "DiffMM, README", _IAT, Chosen.EPOCH_ON_THESE_USERS),
    PublishedFigure(_TIKTOK, "bm3", 0.0957, "DiffMM, README", _IAT, Chosen.EPOCH_ON_THESE_USERS),
    *_column(
        _TIKTOK_OTHER,
        _DAMRS,
        _IAT,
        Chosen.UNKNOWN,
        {
            "DA-MRS": 0.1100,
            "bm3": 0.1064,
            "slmrec": 0.1008,
            "simgcl": 0.0972,
            "sgl": 0.0972,
            "lattice": 0.0939,
            "lightgcn": 0.0916,
            "mmgcn": 0.0870,
            "NGCF": 0.0752,
            "mmssl": 0.0712,
            "grcn": 0.0624,
            "bpr_mf": 0.0558,
            "vbpr": 0.0420,
        },
    ),
    *_column(_BABY, _MMREC_RUN, _NONE, Chosen.VALIDATION, {"lightgcn": 0.0750}),
    *_column(
        _BABY,
        _MMREC,
        _IT,
        Chosen.SETTINGS_ON_THESE_USERS,
        {
            "freedom": 0.0992,
            "bm3": 0.0883,
            "lattice": 0.0850,
            "grcn": 0.0833,
            "slmrec": 0.0775,
            "lightgcn": 0.0754,
            "dualgnn": 0.0716,
            "vbpr": 0.0663,
            "mmgcn": 0.0615,
            "bpr_mf": 0.0575,
        },
    ),
    PublishedFigure(_BABY, "COHESION", 0.1052, "COHESION, paper", _IT, Chosen.UNKNOWN),
    PublishedFigure(_BABY, "MENTOR", 0.1048, "MENTOR, README", _IT, Chosen.SETTINGS_ON_THESE_USERS),
    PublishedFigure(_BABY, "gume", 0.1042, "GUME, paper", _IT, Chosen.UNKNOWN),
    PublishedFigure(_BABY, "smore", 0.1035, "SMORE, README", _IT, Chosen.SETTINGS_ON_THESE_USERS),
    PublishedFigure(_BABY, "lgmrec", 0.1002, "LGMRec, log", _IT, Chosen.SETTINGS_ON_THESE_USERS),
    PublishedFigure(_BABY, "DA-MRS", 0.0994, "DA-MRS, log", _IT, Chosen.UNKNOWN),
    PublishedFigure(_BABY, "mmssl", 0.0962, _MMSSL, _IT, Chosen.EPOCH_ON_VALIDATION),
    PublishedFigure(_BABY, "mgcn", 0.0964, "MGCN, README", _IT, Chosen.SETTINGS_ON_THESE_USERS),
)
"""recall@20, one seed each, as far as the sources say."""


def peer_recall(dataset: str) -> dict[str, float]:
    """recall@20 on test of the peer that was run on the same packs and splits, by model."""
    return {
        each.model: each.recall
        for each in PUBLISHED
        if each.by == _MMREC_RUN and each.rows.dataset == dataset
    }
