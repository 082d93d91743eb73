"""The list of models."""

import importlib
import pkgutil

import pytest

from mrs_pipeline import models
from mrs_pipeline.errors import InputError
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.registry import MODELS, model_class


def subclasses(base):
    for each in base.__subclasses__():
        yield each
        yield from subclasses(each)


def test_no_model_escapes_the_registry():
    for module in pkgutil.walk_packages(models.__path__, "mrs_pipeline.models."):
        importlib.import_module(module.name)
    own = (each for each in subclasses(Recommender) if each.__module__.startswith("mrs_pipeline.models."))
    defined = {each for each in own if "spec" in vars(each)}  # a shared base has none
    assert defined == {MODELS[name] for name in MODELS.own}


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no model 'lightgnc'.*lightgcn"):
        model_class("lightgnc")
