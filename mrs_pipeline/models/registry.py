"""The list of models: explicit imports, one dictionary. A model says everything else itself."""

from collections.abc import Mapping
from types import MappingProxyType

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.models.baselines.bpr_mf import BprMf
from mrs_pipeline.models.baselines.ease import Ease
from mrs_pipeline.models.baselines.item_knn import ItemKnn
from mrs_pipeline.models.baselines.lightgcn import LightGcn
from mrs_pipeline.models.baselines.most_pop import MostPop
from mrs_pipeline.models.bridge.dualgnn import DualGnn
from mrs_pipeline.models.bridge.kgat import Kgat
from mrs_pipeline.models.bridge.lattice import Lattice
from mrs_pipeline.models.bridge.mgcn import Mgcn
from mrs_pipeline.models.bridge.micro import Micro
from mrs_pipeline.models.bridge.mkgat import Mkgat
from mrs_pipeline.models.bridge.mmgcn import Mmgcn
from mrs_pipeline.models.enhancement.bm3 import Bm3
from mrs_pipeline.models.enhancement.clcrec import ClcRec
from mrs_pipeline.models.enhancement.dmrl import Dmrl
from mrs_pipeline.models.enhancement.macridvae import MacridVae
from mrs_pipeline.models.enhancement.slmrec import SlmRec
from mrs_pipeline.models.filtration.freedom import Freedom
from mrs_pipeline.models.filtration.grcn import Grcn
from mrs_pipeline.models.fusion.dif_sr import DifSr
from mrs_pipeline.models.fusion.fusion import Fusion
from mrs_pipeline.models.fusion.mm_ease import MmEase
from mrs_pipeline.models.fusion.mmmlp import Mmmlp
from mrs_pipeline.models.fusion.nova import Nova
from mrs_pipeline.models.fusion.smore import Smore
from mrs_pipeline.models.fusion.vbpr import Vbpr
from mrs_pipeline.models.optimisation.dropoutnet import DropoutNet
from mrs_pipeline.models.optimisation.end_to_end import EndToEnd
from mrs_pipeline.models.optimisation.end_to_end_sasrec import EndToEndSasRec
from mrs_pipeline.models.optimisation.pamd import Pamd
from mrs_pipeline.models.optimisation.pmgt import Pmgt
from mrs_pipeline.models.sequences.sasrec import SasRec

_BASELINES = (MostPop, ItemKnn, Ease, BprMf, LightGcn, SasRec)
_BRIDGES = (Mmgcn, DualGnn, Lattice, Micro, Mgcn, Kgat, Mkgat)
_FUSIONS = (Vbpr, Fusion, MmEase, Smore, Nova, DifSr, Mmmlp)
_FILTRATIONS = (Grcn, Freedom)
_ENHANCEMENTS = (Bm3, SlmRec, ClcRec, Dmrl, MacridVae)
_OPTIMISATIONS = (Pmgt, Pamd, DropoutNet, EndToEnd, EndToEndSasRec)

_MODEL_CLASSES: tuple[type[AnyRecommender], ...] = (
    *_BASELINES,
    *_BRIDGES,
    *_FUSIONS,
    *_FILTRATIONS,
    *_ENHANCEMENTS,
    *_OPTIMISATIONS,
)

MODELS: Mapping[str, type[AnyRecommender]] = MappingProxyType(
    {model.spec.name: model for model in _MODEL_CLASSES}
)
"""Name -> class, baselines first."""


def model_class(name: str) -> type[AnyRecommender]:
    """The model of that name; InputError lists the known names."""
    if name not in MODELS:
        raise InputError(f"there is no model '{name}'; the models are {', '.join(MODELS)}")
    return MODELS[name]
