"""Columns of what models came to: runs, metrics, lists, experiments, lineage, checks."""

from collections.abc import Mapping
from typing import Final

from mrs_pipeline.tables.columns import Column

_MEMORY: Final = (
    "The most memory held while training and validating, above what was held when the data had been read and the model "
    "was not built yet; on a GPU, memory of the GPU."
)

RESULTS: Final[Mapping[str, Column]] = {
    # models and their training
    "model": Column("VARCHAR", "Name of the model."),
    "seed": Column("BIGINT", "Seed of the model's training."),
    "seed:arm": Column("BIGINT", "Seed of rows taken away, weights and sampling."),
    "config": Column("VARCHAR", "All settings of the model, as JSON."),
    "settings": Column("VARCHAR", "All settings of the model, as JSON."),
    "cells": Column("VARCHAR[]", "Cells of the survey's taxonomy that the model belongs to."),
    "modalities": Column("VARCHAR[]", "Modalities that it saw."),
    "parameters": Column("BIGINT", "Trained numbers."),
    "n_parameters": Column("BIGINT", "Trained numbers."),
    "epochs": Column("BIGINT", "Epochs that were run."),
    "epochs:mean": Column("DOUBLE", "Epochs, mean over seeds."),
    "best_epoch": Column("BIGINT", "The epoch whose weights were kept."),
    "best_score": Column("DOUBLE", "Validation metric at the best epoch."),
    "select_value": Column("DOUBLE", "Validation metric at the best epoch."),
    "select_on": Column("VARCHAR", "The validation metric that chose the epoch, `<name>@<k>`."),
    "epoch": Column("BIGINT", "Epoch, from 1."),
    "measure": Column(
        "VARCHAR", "seconds, validation_seconds, validation_score, or `loss/` and the name of a term."
    ),
    "value:measure": Column("DOUBLE", "What was measured; seconds where the measure is one of time."),
    "term": Column("VARCHAR", "Name of the loss term, or `valid` for the validation metric."),
    "value:term": Column("DOUBLE", "The term's mean over the epoch, or the validation metric."),
    "seconds": Column("DOUBLE", "Time of training and validation.", "seconds"),
    "seconds:arm": Column("DOUBLE", "Time of training and validation, pre-training included.", "seconds"),
    "seconds:mean": Column("DOUBLE", "Time of training and validation, mean over seeds.", "seconds"),
    "seconds:epoch": Column("DOUBLE", "Time of the epoch.", "seconds"),
    "seconds_per_epoch": Column("DOUBLE", "Median time of an epoch.", "seconds"),
    "seconds_per_epoch:mean": Column("DOUBLE", "Time of an epoch, mean over seeds.", "seconds"),
    "seconds_evaluation": Column("DOUBLE", "Time of ranking and measuring, mean over seeds.", "seconds"),
    "peak_memory_mb": Column("DOUBLE", _MEMORY, "MB"),
    "peak_memory_mb:max": Column("DOUBLE", f"{_MEMORY} Maximum over seeds.", "MB"),
    "energy_joules": Column(
        "DOUBLE",
        "Energy that processors and GPU took during training, other programs' share included; NULL where it cannot "
        "be read (docs/benchmarks.md).",
        "J",
    ),
    "trials": Column(
        "BIGINT",
        "Settings that a search tried for this model before the ones it has; 0 without a search, NULL if unknown.",
        "trials",
    ),
    "solved": Column("BOOLEAN", "Whether it is solved in closed form, so that a seed changes nothing."),
    "threads": Column("BIGINT", "CPU threads that it was given.", "threads"),
    "device": Column("VARCHAR", "Where it was trained: cpu, cuda or mps."),
    # metrics
    "slice": Column("VARCHAR", "Which test rows count: all, warm or cold items, or new users."),
    "protocol": Column("VARCHAR", "The rules behind the number; numbers of other rules are not comparable."),
    "metric": Column("VARCHAR", "Name of the metric; docs/metrics.md has its formula, range and unit."),
    "metric:label": Column("VARCHAR", "The metric, `<name>@<k>`."),
    "k": Column("BIGINT", "Cut-off: places of the list that count; NULL for a metric of the whole ranking."),
    "users": Column("BIGINT", "Users that the metric is over.", "users"),
    "n_users": Column("BIGINT", "Users that the metrics are over.", "users"),
    "value": Column(
        "DOUBLE", "Mean over users, or the value of a metric over all users; range and unit are the metric's."
    ),
    "value:user": Column("FLOAT", "The user's value; range and unit are the metric's."),
    "value:seeds": Column("DOUBLE", "Mean over users and seeds, all items."),
    "ci_low": Column(
        "DOUBLE",
        "Lower end of the 95 % interval over users, inside the metric's range; NULL for one user and for metrics over "
        "all users.",
    ),
    "ci_low:seeds": Column("DOUBLE", "Lower end of the 95 % interval over users and seeds."),
    "ci_high": Column("DOUBLE", "Upper end of the interval."),
    "interval_over": Column(
        "VARCHAR",
        "What intervals and tests allow for: `users and seeds`; `users, one seed` where luck in training is not "
        "covered; `users` where training has no chance in it.",
    ),
    "chance": Column(
        "DOUBLE", "What a random order of the candidates is expected to give; NULL where that is not known."
    ),
    "candidates": Column("BIGINT", "Items that are ranked in the slice.", "items"),
    "ranked_by": Column(
        "VARCHAR",
        "model; for new users history (shown to the model) or popularity (the model knows nothing of them).",
    ),
    "data_digest": Column("VARCHAR", "Digest of the split that was measured on."),
    "stale": Column(
        "BOOLEAN",
        "Whether it was measured on other data than today's split; it has no rank and no test then.",
    ),
    "code_digest": Column("VARCHAR", "Version of the code that measured."),
    # lists and rankings
    "rank": Column("BIGINT", "Place inside the protocol and window, from 1; NULL for stale rows."),
    "rank:list": Column("INTEGER", "Place in the list, from 1, best first."),
    "score": Column("FLOAT", "The model's score; comparable inside one list only."),
    "recall@20": Column("DOUBLE", "Mean over seeds of recall at 20, over all items; it decides the rank."),
    "ndcg@20": Column("DOUBLE", "Mean over seeds of ndcg at 20, over all items."),
    # promotions
    "decision": Column("BIGINT", "Number of the decision, from 1."),
    "decided_at": Column("TIMESTAMP", "When.", "UTC"),
    "decided_by": Column("VARCHAR", "Who asked for it: the user of the machine, or what ran by itself."),
    "outcome": Column("VARCHAR", "promoted, refused or rolled back."),
    "forced": Column("BOOLEAN", "Whether it was promoted although a rule did not hold."),
    "reason:decision": Column("VARCHAR", "Why, in words; of a refusal the rules that did not hold."),
    "window:promoted": Column("VARCHAR", "Window of the model that the decision is about."),
    "model:promoted": Column("VARCHAR", "The model that the decision is about."),
    "champion_window": Column("VARCHAR", "Window of the champion before; NULL where there was none."),
    "champion_model": Column("VARCHAR", "The champion before; NULL where there was none."),
    "weights_digest": Column("VARCHAR", "Digest of the model's weights."),
    "kept": Column(
        "VARCHAR", "Folder below data/champions that holds all that serving it needs; NULL if refused."
    ),
    "rule": Column("VARCHAR", "Name of the rule."),
    "holds": Column("BOOLEAN", "Whether the rule holds; NULL where it does not apply."),
    "value:rule": Column("DOUBLE", "What was compared: a difference, seconds, megabytes, failed checks."),
    "bound": Column("DOUBLE", "What it was compared with."),
    "low": Column("DOUBLE", "Lower end of the difference's 95 % interval."),
    "high": Column("DOUBLE", "Upper end of the difference's 95 % interval."),
    "p:rule": Column("DOUBLE", "p-value of the paired test over users and seeds.", "0 to 1"),
    "sentence": Column("VARCHAR", "The rule and what was found, in words."),
    # drift
    "part:drift": Column("VARCHAR", "interactions, catalogue, features or recommendations."),
    "about": Column("VARCHAR", "What is compared: an attribute, a feature set, a model's lists."),
    "statistic": Column(
        "VARCHAR",
        "psi (population stability index), ks (largest distance of a dimension), cosine (of means), overlap (share of "
        "a list that stayed), share (of users or items never seen before).",
    ),
    "value:drift": Column("DOUBLE", "What was found between the two windows."),
    "chance:drift": Column(
        "DOUBLE", "What chance alone reaches in 1 of 100 cases; NULL where it is not known."
    ),
    "bound:drift": Column("DOUBLE", "What the settings allow; NULL where the value is only shown."),
    "n_before": Column("BIGINT", "Size of the sample of the window before."),
    "n_now": Column("BIGINT", "Size of the window's own sample."),
    "drifted": Column("BOOLEAN", "Whether the value is beyond the bound and beyond chance."),
    # experiments
    "arm": Column("VARCHAR", "What was trained, in words; the first arm is the control."),
    "position": Column("BIGINT", "Place of the arm in the experiment, 0 for the control."),
    "series": Column("VARCHAR", "What the arm is one of: a branch of the taxonomy, a model."),
    "against": Column("VARCHAR", "The arm that it is held against; its own name for a control."),
    "part": Column("VARCHAR", "`whole`, or the part of the vectors that was scored alone."),
    "removed": Column("DOUBLE", "Share of each modality's rows that was taken away.", "0 to 1"),
    "dependence": Column(
        "DOUBLE", "Mean distance correlation between parts; NULL for arms without.", "0 to 1"
    ),
    "seeds": Column("BIGINT", "Seeds that the means are over.", "seeds"),
    "spread": Column("DOUBLE", "Standard deviation over seeds; NULL for one seed."),
    "warm": Column("DOUBLE", "The same on warm items; NULL where no test item is warm."),
    "cold": Column("DOUBLE", "The same on cold items; NULL where no test item is cold."),
    "difference": Column("DOUBLE", "Mean difference to its control over the same users; NULL for a control."),
    "difference_low": Column(
        "DOUBLE",
        "Lower end of its interval over users and seeds; those of an experiment hold together with 95 %.",
    ),
    "difference_high": Column("DOUBLE", "Upper end of that interval."),
    "p": Column(
        "DOUBLE",
        "p-value of the paired test over users and seeds, adjusted by Bonferroni over the experiment; below .05 "
        "exactly when the interval excludes 0.",
        "0 to 1",
    ),
    # lineage and checks
    "asset": Column("VARCHAR", "Name of what was made or checked, e.g. core/items."),
    "run": Column("VARCHAR", "The run that made it, or that checked it."),
    "run:made": Column(
        "VARCHAR",
        "The run that made it, or that found it made by one that was killed before it could say so.",
    ),
    "made_at": Column("TIMESTAMP", "When.", "UTC"),
    "data_version": Column("VARCHAR", "Digest of the content that was made or checked."),
    "code_version": Column("VARCHAR", "Version of the code and settings that made it."),
    "code_version:check": Column("VARCHAR", "Digest of the code of the checks."),
    "git_commit": Column("VARCHAR", "Commit of the project, with + for changes on top; NULL outside git."),
    "package_version": Column("VARCHAR", "Version of mrs_pipeline."),
    "upstream": Column("VARCHAR", "Name of the input; a raw file's begins with its kind."),
    "upstream:table": Column("VARCHAR", "Name of the table that the column is computed from."),
    "upstream_version": Column("VARCHAR", "Digest of the input's content as it was read."),
    "upstream_column": Column("VARCHAR", "Name of that table's column."),
    "column": Column("VARCHAR", "Name of the asset's column."),
    "name": Column("VARCHAR", "Name of the check."),
    "severity": Column("VARCHAR", "error where a failure stops what is downstream, else warning."),
    "passed": Column("BOOLEAN", "Whether it held."),
    "description:check": Column("VARCHAR", "What must hold, or what was found instead."),
}
"""Column or `column:variant` -> declaration."""
