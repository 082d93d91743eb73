"""Trains models on the toy market and writes their weights: `torchrun ... joint_training.py FOLDER`, or without it."""

import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import distributed

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import fit
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.toy import prepared, small_config, toy_market

MODELS = ("bpr_mf", "lightgcn", "vbpr")
OPTIONS = TrainingOptions(epochs=3, batch_size=64, patience=100)


def train_all(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = os.environ.get("RANK", "0")
    data = toy_market().data
    for name in MODELS:
        # the norm of a batch's vectors is no mean over its rows
        config = small_config(name, reg_weight=0.0)
        fitted = fit(prepared(name, data), name, config, seed=5, training=OPTIONS)
        save_file(
            {key: value.contiguous() for key, value in fitted.model.state_dict().items()},
            folder / f"{name}-{rank}.safetensors",
        )
        (folder / f"{name}-{rank}.txt").write_text(repr(fitted.result.best_score))
    try:
        fit(prepared("macridvae", data), "macridvae", small_config("macridvae"), training=OPTIONS)
    except InputError as error:
        (folder / f"refused-{rank}.txt").write_text(str(error))
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    train_all(Path(sys.argv[1]))
