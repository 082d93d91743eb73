"""Models that are made of other models: which may be wrapped, and the settings of what is wrapped.

The wrapped model comes out of the registry, which lists the wrapper too, so that it is looked up when settings are
read.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.config import GradientConfig, ModelConfig
from mrs_pipeline.models.spec import BatchKind, FeatureUse

FactorModel = type[Recommender[Any, Any]]


class _Wraps(Protocol):
    def inner(self) -> ModelConfig: ...


WrapsT = TypeVar("WrapsT", bound=_Wraps)


def require_wrapped(config: WrapsT) -> WrapsT:
    """For a pydantic validator: settings of a wrapper, once what it wraps is known to be there and to take its own.

    Raises:
        ValueError: why not.
    """
    try:
        config.inner()
    except InputError as error:
        raise ValueError(str(error)) from error
    return config


def factor_model(name: str) -> FactorModel:
    """The model of that name, if it learns vectors of users and items from pairs, with interactions and features alone.

    Raises:
        InputError: there is no such model, or it is of another kind.
    """
    from mrs_pipeline.models.registry import model_class

    kind = model_class(name)
    spec = kind.spec
    factorises = spec.batches is BatchKind.PAIRS and kind.representations is not Recommender.representations
    content = any(use is not FeatureUse.IGNORED for use in (spec.raw, spec.tokens))
    others = spec.pretraining, spec.knowledge, spec.user_graph, content
    if not factorises or any(others) or not issubclass(kind.Config, GradientConfig):
        raise InputError(
            f"'{name}' cannot stand here: wanted is a model that learns vectors of users and items from pairs and "
            "needs no more than interactions and features, as lightgcn, vbpr and freedom do"
        )
    return kind


def propagating_model(name: str) -> FactorModel:
    """The model of that name, if it is a `factor_model` on LightGCN's propagation.

    Raises:
        InputError: there is no such model, or it is of another kind.
    """
    from mrs_pipeline.models.layers.lightgcn import LightGcnRecommender

    kind = factor_model(name)
    if not issubclass(kind, LightGcnRecommender):
        raise InputError(
            f"'{name}' cannot stand here: wanted is a model that propagates vectors over the user-item graph as "
            "LightGCN does, such as lightgcn, freedom, mgcn and bm3"
        )
    return kind


def wrapped_config(
    kind: FactorModel, settings: Mapping[str, object], shared: Mapping[str, object]
) -> ModelConfig:
    """The wrapped model's settings, those it shares with its wrapper among them.

    Raises:
        ValueError: a setting is not the wrapped model's to have, or does not fit; for a pydantic validator.
    """
    twice = sorted(set(settings) & set(shared))
    if twice:
        raise ValueError(
            f"settings.{twice[0]} is the wrapper's; set {twice[0]} beside `settings:` and not below it"
        )
    try:
        return kind.Config.model_validate({**settings, **shared})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("settings", *first["loc"])))
        raise ValueError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
