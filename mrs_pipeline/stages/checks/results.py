"""Guards of what compares models: the leaderboard and the experiments."""

from collections.abc import Sequence

from mrs_pipeline.stages.checks.suites import expectations, scan_of, suite_outcome
from mrs_pipeline.tables import experiments, leaderboard
from mrs_pipeline.tasks.node import LEADERBOARD, Kind, Node
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Stage, Task

LEADERBOARD_SPECS = (expectations(LEADERBOARD, "ranks follow the metric."),)


def experiment_specs(name: str) -> tuple[CheckSpec, ...]:
    """An experiment fit to be read."""
    return (expectations(Node(Kind.EXPERIMENTS, name), "every arm measured once, beside a control."),)


def check_leaderboard(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of the leaderboard."""
    return [suite_outcome(stage, LEADERBOARD_SPECS[0], leaderboard.suites(scan_of(stage, LEADERBOARD)))]


def check_experiment(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of an experiment's result."""
    name = task.subject
    return [
        suite_outcome(stage, experiment_specs(name)[0], experiments.suites(scan_of(stage, task.outputs[0])))
    ]
