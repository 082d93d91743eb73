"""Failure signatures that the survey names, looked for after a training. They warn and stop nothing.

Train and validation part ways; vectors collapse; one modality carries nearly all of the score or none of it; terms of
the loss undo each other; items that training has not seen are ranked no better than by chance. Samples are bounded:
`MOST_SAMPLED` users and items.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl
import torch

from mrs_pipeline.encoders.diagnostics import effective_rank
from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.functional.signatures import lost_after_best, shares_of_scores, shares_of_weights
from mrs_pipeline.metrics.base import parse_label
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.models.layers.item_autoencoder import BY_INTERACTIONS
from mrs_pipeline.models.layers.parts import IDENTIFIER
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind, FeatureUse
from mrs_pipeline.stages.checks.conflicts import conflicting_losses
from mrs_pipeline.stored.trained import load_trained
from mrs_pipeline.stored.training_data import seeds_of, training_data
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Stage
from mrs_pipeline.types import TrainingData

MOST_SAMPLED: Final = 1000
"""Most users, and most items, that are looked at."""
MOST_LOST: Final = 0.25
"""Share of the best validation score that may be lost until training stops."""
LEAST_RANK: Final = 2.0
"""Fewest directions that vectors may really use."""
LEAST_SHARE: Final = 0.001
"""A modality below this share of the score is dead."""
MOST_SHARE: Final = 0.98
"""A modality above this share of what all modalities give leaves the others out."""
_NO_MODALITY: Final = frozenset({IDENTIFIER, BY_INTERACTIONS})
"""Paths of a score that are no modality."""


def signature_specs(name: str) -> tuple[CheckSpec, ...]:
    """The signatures that can be looked for in a trained model."""
    spec, node = MODELS[name].spec, Node(Kind.TRAINED, name)
    learned, sees = spec.batches is not BatchKind.NONE, spec.features is not FeatureUse.IGNORED
    wanted = (
        ("parts_ways", learned, "Validation does not fall while the training loss goes on falling."),
        ("collapsed", learned and MODELS[name].factorises(), "Vectors of items use more than one direction."),
        (
            "modalities",
            sees,
            "No modality carries nearly all of the score, or none.",
        ),
        ("conflicting_losses", learned, "No two terms of the loss undo each other's steps."),
    )
    return tuple(CheckSpec(check, node, said, blocking=False) for check, asked, said in wanted if asked)


def check_signatures(stage: Stage, name: str, *, sound: bool) -> list[CheckOutcome]:
    """Look for them; the model is loaded once, with its first seed.

    Args:
        stage: dataset and window.
        name: the model.
        sound: whether its weights are finite; nothing is asked of others.
    """
    specs = signature_specs(name)
    loaded = {"collapsed", "modalities", "conflicting_losses"} & {spec.name for spec in specs}
    model, data = _loaded(stage, name) if loaded and sound else (None, None)
    found = []
    for spec in specs:
        if spec.name == "parts_ways":
            passed, said, facts = _parts_ways(stage, name)
        elif model is None or data is None:
            passed, said, facts = False, "not judged, since weights are not finite", {}
        elif spec.name == "conflicting_losses":
            passed, said, facts = conflicting_losses(model, data, stage.config.training_of(name))
        else:
            passed, said, facts = (_collapsed if spec.name == "collapsed" else _modalities)(model)
        found.append(CheckOutcome(spec.name, spec.output, passed, spec.blocking, said, facts))
    return found


def unseen_spec(name: str) -> CheckSpec:
    """Of a model's metrics: what it makes of items without training rows."""
    return CheckSpec(
        "unseen_items",
        Node(Kind.METRICS, name),
        "Items that training has not seen are ranked better than by chance, where the model ranks them.",
        blocking=False,
    )


def check_unseen(stage: Stage, name: str) -> CheckOutcome:
    """Compare cold items with chance, if warm ones are ranked better than by chance."""
    spec, (metric, k) = unseen_spec(name), parse_label(COMPARED[0])
    rows = stage.lake.read(table_of(stage, spec.output)).filter(pl.col("metric") == metric, pl.col("k") == k)
    means = rows.group_by("slice").agg(pl.col("value", "chance", "ci_low").mean())
    by_slice = {row["slice"]: row for row in means.iter_rows(named=True)}
    warm, cold = by_slice.get("warm"), by_slice.get("cold")
    if warm is None or cold is None or cold["chance"] is None or warm["chance"] is None:
        return CheckOutcome(spec.name, spec.output, True, spec.blocking, "no cold item is ranked")
    learned = warm["ci_low"] is not None and warm["ci_low"] > warm["chance"]
    passed = not learned or cold["value"] > cold["chance"]
    said = (
        f"{COMPARED[0]} on unseen items {cold['value']:.4f} (chance {cold['chance']:.4f}), on seen ones "
        f"{warm['value']:.4f} (chance {warm['chance']:.4f})"
    )
    facts = {"unseen": cold["value"], "unseen by chance": cold["chance"], "seen": warm["value"]}
    return CheckOutcome(spec.name, spec.output, passed, spec.blocking, said, facts)


_Found = tuple[bool, str, Mapping[str, object]]


def _parts_ways(stage: Stage, name: str) -> _Found:
    history = stage.lake.read(stage.table("models", "history", model=name))
    lost = max((_lost(history.filter(seed=seed)) for seed in history["seed"].unique()), default=0.0)
    said = f"after the best epoch {lost:.0%} of validation was lost while the training loss fell"
    return lost <= MOST_LOST, said, {"lost": lost, "bound": MOST_LOST}


def _lost(history: pl.DataFrame) -> float:
    """Of one seed's `models.history` rows."""
    losses = (
        history.filter(pl.col("measure").str.starts_with("loss/"))
        .group_by("epoch")
        .agg(loss=pl.col("value").sum())
    )
    scores = history.filter(measure="validation_score").select("epoch", score="value")
    both = scores.join(losses, on="epoch").sort("epoch")
    return lost_after_best(both["score"].to_list(), both["loss"].to_list())


def _collapsed(model: AnyRecommender) -> _Found:
    with torch.no_grad():
        items = model.representations()[1]
    known = items[model.rankable.to(items.device)]
    sample = known[_places(len(known))].detach().float().cpu().numpy()
    rank = effective_rank(sample)
    said = f"{len(sample):,} vectors of items use {rank:.1f} of {items.shape[1]} directions"
    return rank >= LEAST_RANK or items.shape[1] == 1, said, {"effective rank": rank, "width": items.shape[1]}


def _modalities(model: AnyRecommender) -> _Found:
    with torch.no_grad():
        paths, weights = model.item_paths(), model.weight_paths()
        if paths:
            users, n = model.representations()[0], len(next(iter(paths.values())))
            chosen = {name: rows[_places(n)] for name, rows in paths.items()}
            shares = shares_of_scores(users[_places(len(users))], chosen)
        else:
            shares = shares_of_weights(weights)
    if not shares:
        return True, "its score is no sum of modalities", {}
    content = {name: share for name, share in shares.items() if name not in _NO_MODALITY}
    whole = sum(content.values())
    dead = [name for name, share in content.items() if share < LEAST_SHARE]
    above = [name for name, share in content.items() if len(content) > 1 and share > MOST_SHARE * whole > 0]
    told = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    faults = [f"{name} changes nothing" for name in dead] + [f"{name} outweighs the others" for name in above]
    return (
        not faults,
        f"{'; '.join(faults)}: {told}" if faults else f"shares of the score: {told}",
        dict(shares),
    )


def _loaded(stage: Stage, name: str) -> tuple[AnyRecommender, TrainingData]:
    data = training_data(stage, MODELS[name].spec)
    return load_trained(stage, name, seeds_of(stage.config, name)[0], data), data


def _places(n: int) -> torch.Tensor:
    """At most `MOST_SAMPLED` of n places, drawn by a fixed seed."""
    drawn = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    return drawn[:MOST_SAMPLED].sort().values
