"""The models by name: those of this package, and those that others add under `mrs_pipeline.models`.

Where each is defined stands here and nothing else; a model says everything about itself. No model file is loaded
before its name is looked up.
"""

import re
from typing import TYPE_CHECKING, Final

from mrs_pipeline.code import boundary
from mrs_pipeline.registry import Registry, spec_flaw

if TYPE_CHECKING:
    from mrs_pipeline.models.base import AnyRecommender

_HERE: Final = "mrs_pipeline.models"
_BASELINES: Final = {
    "most_pop": f"{_HERE}.baselines.most_pop:MostPop",
    "item_knn": f"{_HERE}.baselines.item_knn:ItemKnn",
    "user_knn": f"{_HERE}.baselines.user_knn:UserKnn",
    "slim": f"{_HERE}.baselines.slim:Slim",
    "ease": f"{_HERE}.baselines.ease:Ease",
    "edlae": f"{_HERE}.baselines.edlae:Edlae",
    "rlae": f"{_HERE}.baselines.rlae:Rlae",
    "ials": f"{_HERE}.baselines.ials:Ials",
    "bpr_mf": f"{_HERE}.baselines.bpr_mf:BprMf",
    "lightgcn": f"{_HERE}.baselines.lightgcn:LightGcn",
    "lightgode": f"{_HERE}.baselines.lightgode:LightGode",
    "sgl": f"{_HERE}.baselines.sgl:Sgl",
    "simgcl": f"{_HERE}.baselines.simgcl:SimGcl",
    "sasrec": f"{_HERE}.sequences.sasrec:SasRec",
    "rpg": f"{_HERE}.sequences.rpg:Rpg",
}
_BRIDGES: Final = {
    "mmgcn": f"{_HERE}.bridge.mmgcn:Mmgcn",
    "mgat": f"{_HERE}.bridge.mgat:Mgat",
    "mmssl": f"{_HERE}.bridge.mmssl:Mmssl",
    "lgmrec": f"{_HERE}.bridge.lgmrec:LgmRec",
    "gume": f"{_HERE}.bridge.gume:Gume",
    "dualgnn": f"{_HERE}.bridge.dualgnn:DualGnn",
    "cohesion": f"{_HERE}.bridge.cohesion:Cohesion",
    "dragon": f"{_HERE}.bridge.dragon:Dragon",
    "mmgcl": f"{_HERE}.bridge.mmgcl:Mmgcl",
    "mvgae": f"{_HERE}.bridge.mvgae:Mvgae",
    "lattice": f"{_HERE}.bridge.lattice:Lattice",
    "micro": f"{_HERE}.bridge.micro:Micro",
    "mgcn": f"{_HERE}.bridge.mgcn:Mgcn",
    "tmfun": f"{_HERE}.bridge.tmfun:Tmfun",
    "mmsr": f"{_HERE}.bridge.mmsr:Mmsr",
    "hcgcn": f"{_HERE}.bridge.hcgcn:Hcgcn",
    "mm_gf": f"{_HERE}.bridge.mm_gf:MmGf",
    "kgat": f"{_HERE}.bridge.kgat:Kgat",
    "mkgat": f"{_HERE}.bridge.mkgat:Mkgat",
    "kgin": f"{_HERE}.bridge.kgin:Kgin",
    "cke": f"{_HERE}.bridge.cke:Cke",
    "mkr": f"{_HERE}.bridge.mkr:Mkr",
    "pyg": f"{_HERE}.bridge.pyg:Pyg",
    "vi_mmrec": f"{_HERE}.bridge.vi_mmrec:ViMmRec",
    "fastmmrec": f"{_HERE}.bridge.fastmmrec:FastMmRec",
}
_FUSIONS: Final = {
    "vbpr": f"{_HERE}.fusion.vbpr:Vbpr",
    "fusion": f"{_HERE}.fusion.fusion:Fusion",
    "uvcan": f"{_HERE}.fusion.uvcan:Uvcan",
    "mcptr": f"{_HERE}.fusion.mcptr:Mcptr",
    "cmbf": f"{_HERE}.fusion.cmbf:Cmbf",
    "vecf": f"{_HERE}.fusion.vecf:Vecf",
    "saers": f"{_HERE}.fusion.saers:Saers",
    "mm_rec": f"{_HERE}.fusion.mm_rec:MmRec",
    "nrpa": f"{_HERE}.fusion.nrpa:Nrpa",
    "unisrec": f"{_HERE}.fusion.unisrec:Unisrec",
    "marank": f"{_HERE}.fusion.marank:Marank",
    "vlsnr": f"{_HERE}.fusion.vlsnr:Vlsnr",
    "knn_fusion": f"{_HERE}.fusion.knn_fusion:KnnFusion",
    "mm_ease": f"{_HERE}.fusion.mm_ease:MmEase",
    "smore": f"{_HERE}.fusion.smore:Smore",
    "nova": f"{_HERE}.fusion.nova:Nova",
    "dif_sr": f"{_HERE}.fusion.dif_sr:DifSr",
    "mmmlp": f"{_HERE}.fusion.mmmlp:Mmmlp",
    "m3srec": f"{_HERE}.fusion.m3srec:M3SRec",
    "hm4sr": f"{_HERE}.fusion.hm4sr:Hm4sr",
}
_FILTRATIONS: Final = {
    "grcn": f"{_HERE}.filtration.grcn:Grcn",
    "amr": f"{_HERE}.filtration.amr:Amr",
    "megcf": f"{_HERE}.filtration.megcf:Megcf",
    "mcln": f"{_HERE}.filtration.mcln:Mcln",
    "freedom": f"{_HERE}.filtration.freedom:Freedom",
    "damrs": f"{_HERE}.filtration.damrs:DaMrs",
}
_ENHANCEMENTS: Final = {
    "bm3": f"{_HERE}.enhancement.bm3:Bm3",
    "sibrar": f"{_HERE}.enhancement.sibrar:Sibrar",
    "slmrec": f"{_HERE}.enhancement.slmrec:SlmRec",
    "clcrec": f"{_HERE}.enhancement.clcrec:ClcRec",
    "dmrl": f"{_HERE}.enhancement.dmrl:Dmrl",
    "macridvae": f"{_HERE}.enhancement.macridvae:MacridVae",
    "dicer": f"{_HERE}.enhancement.dicer:Dicer",
    "sem_macridvae": f"{_HERE}.enhancement.sem_macridvae:SemMacridVae",
}
_OPTIMISATIONS: Final = {
    "mml": f"{_HERE}.optimisation.mml:Mml",
    "pmgt": f"{_HERE}.optimisation.pmgt:Pmgt",
    "pamd": f"{_HERE}.optimisation.pamd:Pamd",
    "promptmm": f"{_HERE}.optimisation.promptmm:PromptMm",
    "distill": f"{_HERE}.optimisation.distill:Distill",
    "sgfd": f"{_HERE}.optimisation.sgfd:Sgfd",
    "gorec": f"{_HERE}.optimisation.gorec:GoRec",
    "aldi": f"{_HERE}.optimisation.aldi:Aldi",
    "dropoutnet": f"{_HERE}.optimisation.dropoutnet:DropoutNet",
    "end_to_end": f"{_HERE}.optimisation.end_to_end:EndToEnd",
    "end_to_end_sasrec": f"{_HERE}.optimisation.end_to_end_sasrec:EndToEndSasRec",
    "iisan": f"{_HERE}.optimisation.iisan:Iisan",
}


def _model_flaw(name: str, found: object) -> str | None:
    from mrs_pipeline.models.base import Recommender

    return spec_flaw(name, found, Recommender)


MODELS: Final["Registry[type[AnyRecommender]]"] = boundary(
    Registry(
        "mrs_pipeline.models",
        "model",
        {**_BASELINES, **_BRIDGES, **_FUSIONS, **_FILTRATIONS, **_ENHANCEMENTS, **_OPTIMISATIONS},
        _model_flaw,
    )
)
"""Name -> class, baselines first."""


def family_of(name: str) -> str:
    """The box of the asset graph that a model stands in: its folder here, or the package that registers it."""
    if name in MODELS.own:
        return MODELS[name].__module__.split(".")[2]
    return re.sub(r"\W", "_", MODELS.distribution(name).lower())


def model_class(name: str) -> "type[AnyRecommender]":
    """The model of that name; InputError lists the known names."""
    return MODELS.find(name)
