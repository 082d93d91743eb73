"""The list of models: explicit imports, one dictionary. A model says everything else itself."""

from collections.abc import Mapping
from types import MappingProxyType

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.baselines.bpr_mf import BprMf
from mrs_pipeline.models.baselines.ease import Ease
from mrs_pipeline.models.baselines.item_knn import ItemKnn
from mrs_pipeline.models.baselines.lightgcn import LightGcn
from mrs_pipeline.models.baselines.most_pop import MostPop
from mrs_pipeline.models.filtration.freedom import Freedom
from mrs_pipeline.models.fusion.dif_sr import DifSr
from mrs_pipeline.models.fusion.mmmlp import Mmmlp
from mrs_pipeline.models.fusion.nova import Nova
from mrs_pipeline.models.fusion.vbpr import Vbpr
from mrs_pipeline.models.optimisation.end_to_end import EndToEnd
from mrs_pipeline.models.optimisation.end_to_end_sasrec import EndToEndSasRec
from mrs_pipeline.models.sequences.sasrec import SasRec

_CLASSES: tuple[type[Recommender], ...] = (
    MostPop,
    ItemKnn,
    Ease,
    BprMf,
    LightGcn,
    Vbpr,
    Freedom,
    SasRec,
    Nova,
    DifSr,
    Mmmlp,
    EndToEnd,
    EndToEndSasRec,
)

MODELS: Mapping[str, type[Recommender]] = MappingProxyType({model.spec.name: model for model in _CLASSES})
"""Name -> class, floors first."""


def model_class(name: str) -> type[Recommender]:
    """The model of that name; InputError lists the known names."""
    if name not in MODELS:
        raise InputError(f"there is no model '{name}'; the models are {', '.join(MODELS)}")
    return MODELS[name]
