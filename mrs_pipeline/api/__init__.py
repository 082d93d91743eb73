"""The Python interface for notebooks: frames with their own ids in, frames out.

`Dataset` takes interactions and content, `fit` trains a model on it, `evaluate` and `recommend` ask the model;
`FittedModel.save` and `load` keep one without the data that it was trained on. Everything here stands on `fitting`,
`splits` and `encoders`; nothing is stored that nobody asks to store.
"""

from mrs_pipeline.api.dataset import Dataset
from mrs_pipeline.api.measuring import evaluate
from mrs_pipeline.api.model import FittedModel, fit, load
from mrs_pipeline.api.serving import recommend

__all__ = ["Dataset", "FittedModel", "evaluate", "fit", "load", "recommend"]
