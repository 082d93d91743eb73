"""Systems of the list that join the modalities of an item by attention or otherwise."""

from typing import Final

from mrs_pipeline.survey.rows import SurveyAnswer, System
from mrs_pipeline.taxonomy import Cell

_COARSE: Final = Cell.COARSE_ATTENTION
_FINE: Final = Cell.FINE_ATTENTION
_COMBINED: Final = Cell.COMBINED_ATTENTION
_OTHER: Final = Cell.OTHER_FUSION
_CL: Final = Cell.CONTRASTIVE
_DRL: Final = Cell.DISENTANGLED
_TWO: Final = Cell.TWO_STEP
_HERE: Final = SurveyAnswer.HERE
_OUTFITS: Final = "Puts outfits together or ranks them as wholes."


def _cells(*cells: Cell) -> frozenset[Cell]:
    return frozenset(cells)


COARSE: Final = (
    System("UVCAN", "WWW 2019", "micro-video", _cells(_COARSE), SurveyAnswer.STYLE, "uvcan"),
    System(
        "CMBF",
        "Sensors 2021",
        "movie, e-commerce",
        _cells(_COARSE),
        _HERE,
        "cmbf",
        "_cross_modal:test_cmbf",
        code="alibaba/EasyRec",
        licence="Apache-2.0",
        note="The code is a port.",
    ),
    System("MCPTR", "ICMR 2022", "POI, e-commerce", _cells(_COARSE, _CL), SurveyAnswer.STYLE, "mcptr"),
    System(
        "MML",
        "CIKM 2022",
        "sequences, cold items",
        _cells(_COARSE, _TWO),
        _HERE,
        "mml",
        "_meta_learning:test_scores",
        code="RUCAIBox/MML",
        licence="MIT",
    ),
)

FINE: Final = (
    System(
        "SAERS",
        "IJCAI 2019",
        "fashion",
        _cells(_FINE),
        SurveyAnswer.STYLE,
        "saers",
        "_token_attention:test_saers",
    ),
    System(
        "VECF",
        "SIGIR 2019",
        "fashion",
        _cells(_FINE),
        _HERE,
        "vecf",
        "_token_attention:test_vecf",
        note="Without the reviews that it writes.",
        code="malizheng/VECF",
    ),
    System(
        "POG", "KDD 2019", "outfits", _cells(_FINE, _TWO), SurveyAnswer.OUT, note=_OUTFITS, code="wenyuer/POG"
    ),
    System(
        "NOR",
        "TKDE 2019",
        "outfits",
        _cells(_FINE),
        SurveyAnswer.OUT,
        note=f"{_OUTFITS} It writes comments on them.",
    ),
    System(
        "VICTOR",
        "MM 2021",
        "Chinese video",
        _cells(_FINE, _CL, _TWO),
        SurveyAnswer.OUT,
        note="Pre-trains an encoder of videos and texts. Vectors of such an encoder enter as a ready matrix.",
    ),
    System(
        "PAMD",
        "WWW 2022",
        "e-commerce",
        _cells(_FINE, _DRL, _TWO),
        _HERE,
        "pamd",
        "_two_step:test_pamd_attends_over_the_parts",
        code="hantengyue/PAMD",
    ),
    System(
        "MM-Rec",
        "SIGIR 2022",
        "news",
        _cells(_FINE),
        _HERE,
        "mm_rec",
        "_token_attention:test_mm_rec",
        code="zcfinal/MM-Rec",
    ),
    System(
        "Combo-Fashion",
        "KDD 2022",
        "outfits",
        _cells(_FINE, _CL),
        SurveyAnswer.OUT,
        note="Predicts clicks on outfits.",
        code="zhuchenxv/ComboFashion",
    ),
    System(
        "MARIO",
        "CIKM 2022",
        "e-commerce",
        _cells(_FINE),
        SurveyAnswer.NEAREST,
        "dmrl",
        note="No code. DMRL too weighs an item's modalities for each user; it does not restore features.",
    ),
    System(
        "DMRL",
        "TMM 2022",
        "e-commerce",
        _cells(_FINE, _DRL),
        _HERE,
        "dmrl",
        "_disentangled:test_dmrl_scores",
        code="liufancs/DMRL",
    ),
    System(
        "Implicit semantic micro-videos",
        "arXiv 2022",
        "micro-video",
        _cells(_FINE),
        SurveyAnswer.NEAREST,
        "cmbf",
        note="No code. CMBF too reads modalities through transformers that attend to one another.",
    ),
)

COMBINED: Final = (
    System(
        "MARank",
        "AAAI 2019",
        "sequences",
        _cells(_COMBINED),
        _HERE,
        "marank",
        "_combined:test_scores_and_loss_of",
        code="voladorlu/MARank",
    ),
    System(
        "NRPA",
        "SIGIR 2019",
        "reviews",
        _cells(_COMBINED),
        SurveyAnswer.STYLE,
        "nrpa",
        "_token_attention:test_nrpa",
    ),
    System(
        "NOVA", "AAAI 2021", "sequences", _cells(_COMBINED), _HERE, "nova", "_sequence:test_scores_and_loss"
    ),
    System(
        "VLSNR",
        "arXiv 2022",
        "news",
        _cells(_COMBINED),
        SurveyAnswer.STYLE,
        "vlsnr",
        "_combined:test_scores_and_loss_of",
        note="The repository holds data alone.",
    ),
)

OTHER: Final = (
    System(
        "IRIS",
        "Access 2019",
        "e-commerce",
        _cells(_OTHER),
        SurveyAnswer.NEAREST,
        "knn_fusion",
        note="No code. KNN fusion too ranks by similarities of items from content and interactions.",
    ),
    System(
        "MacridVAE",
        "NeurIPS 2019",
        "general",
        _cells(_OTHER, _DRL),
        _HERE,
        "macridvae",
        "_disentangled:test_macridvae_scores",
        code="jianxinma/disentangle-recsys",
    ),
    System("DICER", "RecSys 2020", "movie", _cells(_OTHER, _DRL), SurveyAnswer.STYLE, "dicer"),
    System(
        "CDR",
        "NeurIPS 2021",
        "several kinds of feedback",
        _cells(_OTHER, _DRL),
        SurveyAnswer.NEAREST,
        "macridvae",
        note="Learns from clicks, likes and dislikes by identifiers alone. MacridVAE has its factors, for one kind.",
        code="forchchch/CDR",
    ),
    System(
        "MDR",
        "ICME 2021",
        "movie",
        _cells(_OTHER, _DRL),
        SurveyAnswer.OPTION,
        "fusion",
        note="`disentangled_weight`: shared and private parts of each modality. No code.",
    ),
    System(
        "SEM-MacridVAE",
        "TPAMI 2023",
        "general",
        _cells(_OTHER, _DRL),
        _HERE,
        "sem_macridvae",
        "_disentangled:test_sem_macridvae",
        code="zhouyw16/SEM-MacridVAE",
    ),
    System(
        "UMPR",
        "TII 2021",
        "POI",
        _cells(_OTHER),
        SurveyAnswer.NEAREST,
        "nrpa",
        note="Matches users' reviews with photos. NRPA-style reads texts of what a user took; no reviews are read.",
    ),
    System(
        "MMMLP",
        "WWW 2023",
        "sequences",
        _cells(_OTHER),
        _HERE,
        "mmmlp",
        "_sequence:test_scores_and_loss",
        code="Applied-Machine-Learning-Lab/MMMLP",
    ),
    System(
        "M3SRec",
        "CIKM 2023",
        "sequences, transfer",
        _cells(_OTHER, _CL, _TWO),
        SurveyAnswer.STYLE,
        "m3srec",
        "_codes_and_experts:test_m3srec",
        note="Without the pre-training over several domains.",
        without=_cells(_CL, _TWO),
    ),
)

FILTRATION: Final = (
    System(
        "GRCN",
        "MM 2020",
        "micro-video",
        _cells(Cell.FILTRATION),
        _HERE,
        "grcn",
        "_user_item:test_grcn",
        code="weiyinwei/GRCN",
    ),
    System(
        "FREEDOM",
        "MM 2023",
        "e-commerce",
        _cells(Cell.FILTRATION),
        _HERE,
        "freedom",
        ":test_freedom",
        note="The list has it under the name of LATTICE.",
        code="enoche/FREEDOM",
        licence="no commercial use (README)",
    ),
    System(
        "MCLN",
        "SIGIR 2023",
        "e-commerce",
        _cells(Cell.FILTRATION),
        _HERE,
        "mcln",
        "_filtration:test_mcln",
        code="shuaiyangli/MCLN",
    ),
    System(
        "Adversarial robustness by modality balancing",
        "MM 2023",
        "e-commerce",
        _cells(Cell.FILTRATION),
        SurveyAnswer.NEAREST,
        "amr",
        note="No code. AMR too trains against attacks on features, all modalities alike.",
    ),
    System(
        "MEGCF",
        "TOIS 2023",
        "e-commerce, art",
        _cells(Cell.FILTRATION),
        _HERE,
        "megcf",
        "_filtration:test_megcf",
        code="hfutmars/MEGCF",
    ),
    System(
        "Mirror Gradient",
        "WWW 2024",
        "any",
        _cells(Cell.FILTRATION),
        SurveyAnswer.OPTION,
        note="`training.mirror_gradient`, for every model that is trained in steps.",
        code="Qrange-group/Mirror-Gradient",
        licence="MIT",
    ),
)
