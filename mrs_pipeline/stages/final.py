"""Final: one model at one window trained again on all of its history, for the epochs that validation chose.

What is chosen is `train`. There the latest events of the history are held out; what is served shall know them.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

from mrs_pipeline.fitting import refit, save
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.earlier import starts_of
from mrs_pipeline.stored.trained import chosen_epochs
from mrs_pipeline.stored.training_data import refitted_seeds, training_data
from mrs_pipeline.tasks.places import store_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task


def refit_model(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Fit the model on train and validation rows, once a seed that is asked for; goes on from its checkpoint."""
    (node,) = task.outputs
    name = node.name
    data = training_data(stage, MODELS[name].spec, whole=True)
    begins, carried = starts_of(stage, task, data), []
    store, keys = store_of(stage, node)
    checkpoints = store.root.joinpath(*keys) / "resume"
    seeds = refitted_seeds(stage.config, name)
    epochs = {seed: chosen_epochs(stage, name, seed) for seed in seeds}
    started = time.perf_counter()
    with store.writing(*keys, provenance=provenance, facts={"seeds": list(seeds)}) as directory:
        for seed in seeds:
            fitted = refit(
                data,
                name,
                stage.config.model_configs[name],
                epochs=epochs[seed],
                seed=seed,
                training=stage.config.training_of(name),
                checkpoints=checkpoints / f"seed={seed}",
                start=begins.of(seed),
            )
            carried.append(fitted.carried)
            folder: Path = directory / f"seed={seed}"
            folder.mkdir()
            save(fitted, folder)
    rmtree(checkpoints, ignore_errors=True)  # absent where the model needs no checkpoint
    facts = {
        "training rows": len(data.train),
        "epochs": list(epochs.values()),
        "seconds": round(time.perf_counter() - started, 2),
        **begins.facts(carried),
    }
    return [Outcome(node, store.read(*keys).digest, facts)]
