"""Systems of the list that join users, items and facts by a graph."""

from typing import Final

from mrs_pipeline.survey.rows import SurveyAnswer, System
from mrs_pipeline.taxonomy import Cell

_UI: Final = Cell.USER_ITEM_GRAPH
_II: Final = Cell.ITEM_ITEM_GRAPH
_KG: Final = Cell.KNOWLEDGE_GRAPH
_FINE: Final = Cell.FINE_ATTENTION
_COARSE: Final = Cell.COARSE_ATTENTION
_CL: Final = Cell.CONTRASTIVE
_TWO: Final = Cell.TWO_STEP
_HERE: Final = SurveyAnswer.HERE
_BUNDLES: Final = "Ranks bundles of items. A bundle can be read as an item, without its parts."


def _cells(*cells: Cell) -> frozenset[Cell]:
    return frozenset(cells)


USER_ITEM: Final = (
    System(
        "MMGCN",
        "MM 2019",
        "micro-video",
        _cells(_UI),
        _HERE,
        "mmgcn",
        "_user_item:test_mmgcn",
        code="weiyinwei/MMGCN",
        licence="GPL-3.0",
    ),
    System(
        "DualGNN",
        "TMM 2021",
        "micro-video",
        _cells(_UI),
        _HERE,
        "dualgnn",
        "_user_item:test_dualgnn",
        code="wqf321/dualgnn",
    ),
    System(
        "MGAT",
        "IPM 2020",
        "micro-video",
        _cells(_UI, _FINE),
        _HERE,
        "mgat",
        "_modal_graphs:test_mgat",
        code="zltao/MGAT",
    ),
    System(
        "SimGCL",
        "SIGIR 2022",
        "general",
        _cells(_UI, _CL),
        _HERE,
        "simgcl",
        "_baselines:test_simgcl",
        note="It looks at no content, so that it stands with the collaborative baselines.",
        code="Coder-Yu/SELFRec",
        without=_cells(_UI, _CL),
    ),
    System(
        "MMGCL",
        "SIGIR 2022",
        "micro-video",
        _cells(_UI, _CL),
        _HERE,
        "mmgcl",
        "_item_denoising:test_mmgcl",
        code="zxy-ml84/MMGCL",
    ),
    System(
        "TESM",
        "IS 2022",
        "general",
        _cells(_UI, _FINE, _TWO),
        SurveyAnswer.NEAREST,
        "mgat",
        note="No code. MGAT is the member with both of its cells: a user-item graph and attention to modalities.",
    ),
    System(
        "BM3",
        "WWW 2023",
        "e-commerce",
        _cells(_UI, Cell.OTHER_FUSION, _CL),
        _HERE,
        "bm3",
        "_contrastive:test_bm3",
        code="enoche/BM3",
        licence="GPL-3.0",
    ),
    System(
        "MMSSL",
        "WWW 2023",
        "video, e-commerce",
        _cells(_UI, _COARSE, _CL),
        _HERE,
        "mmssl",
        "_modal_graphs:test_mmssl",
        code="HKUDS/MMSSL",
    ),
    System(
        "SGFD",
        "MM 2023",
        "e-commerce",
        _cells(_UI, _TWO),
        _HERE,
        "sgfd",
        "_distillation:test_sgfd",
        code="HuilinChenJN/SGFD",
    ),
    System(
        "PromptMM",
        "WWW 2024",
        "video, e-commerce",
        _cells(_UI, _TWO),
        _HERE,
        "promptmm",
        "_distillation:test_promptmm_student",
        code="HKUDS/PromptMM",
    ),
)

ITEM_ITEM: Final = (
    System(
        "LATTICE",
        "MM 2021",
        "e-commerce",
        _cells(_II),
        _HERE,
        "lattice",
        "_item_graphs:test_lattice",
        code="CRIPAC-DIG/LATTICE",
        licence="MIT",
    ),
    System(
        "MICRO",
        "TKDE 2022",
        "e-commerce",
        _cells(_II, _CL),
        _HERE,
        "micro",
        "_item_graphs:test_micro",
        code="CRIPAC-DIG/MICRO",
        licence="MIT",
    ),
    System(
        "HCGCN",
        "MM 2022",
        "e-commerce",
        _cells(_II),
        SurveyAnswer.STYLE,
        "hcgcn",
        "_item_denoising:test_hcgcn",
    ),
    System(
        "PMGT",
        "MM 2021",
        "video",
        _cells(_II, _FINE, _TWO),
        _HERE,
        "pmgt",
        "_two_step:test_pmgt_starts_from_the_pretrained_vectors",
        code="uoo723/PMGT",
        note="The code is not the authors'.",
    ),
    System("BGCN", "SIGIR 2020", "bundles", _cells(_II, _CL), SurveyAnswer.OUT, note=_BUNDLES),
    System("CrossCBR", "KDD 2022", "bundles", _cells(_II, _CL), SurveyAnswer.OUT, note=_BUNDLES),
    System(
        "TMFUN",
        "SIGIR 2023",
        "e-commerce",
        _cells(_II, _COARSE, _CL),
        SurveyAnswer.STYLE,
        "tmfun",
        "_item_denoising:test_tmfun",
    ),
    System(
        "MGCN",
        "MM 2023",
        "e-commerce",
        _cells(_UI, _II, _COARSE, _CL),
        _HERE,
        "mgcn",
        "_item_graphs:test_mgcn",
        code="demonph10/MGCN",
    ),
    System(
        "MMSR",
        "CIKM 2023",
        "e-commerce",
        _cells(_II, Cell.COMBINED_ATTENTION),
        _HERE,
        "mmsr",
        code="HoldenHu/MMSR",
    ),
)

KNOWLEDGE_SYSTEMS: Final = (
    System(
        "MKGAT",
        "CIKM 2020",
        "movie, POI",
        _cells(_KG, Cell.FILTRATION),
        _HERE,
        "mkgat",
        "_knowledge:test_mkgat",
    ),
    System(
        "MKR",
        "WWW 2019",
        "movie, book, news",
        _cells(_KG),
        _HERE,
        "mkr",
        "_knowledge_items:test_mkr",
        code="hwwang55/MKR",
    ),
    System(
        "SI-MKR",
        "Access 2020",
        "movie",
        _cells(_KG),
        SurveyAnswer.NEAREST,
        "mkr",
        note="No code. MKR with attributes of users and items; those of items enter here as triples.",
    ),
    System(
        "CKGC",
        "MM 2022",
        "ML methods",
        _cells(_KG, _CL),
        SurveyAnswer.NEAREST,
        "kgin",
        note="No code. KGIN is the finest of our graphs of knowledge; it has no contrast.",
    ),
    System(
        "MMKGV",
        "CCET 2022",
        "video",
        _cells(_KG, _FINE),
        SurveyAnswer.NEAREST,
        "mkgat",
        note="No code. MKGAT too attends in a graph of knowledge whose entities have modalities.",
    ),
    System(
        "MKGformer",
        "SIGIR 2022",
        "knowledge graphs",
        _cells(_KG, _FINE),
        SurveyAnswer.OUT,
        note="Completes knowledge graphs.",
        code="zjunlp/MKGformer",
    ),
    System(
        "GHMFC",
        "SIGIR 2022",
        "entity linking",
        _cells(_KG, _CL),
        SurveyAnswer.OUT,
        note="Links mentions in texts to entities.",
        code="seukgcode/MEL-GHMFC",
    ),
)
