"""When people are told: a run failed, a check failed, a file cannot be read. How they are told is `notifying`.

The cause of a message is the sentence that says what is wrong, so that a bad file which the sensor sees, a step refuses
and a run fails of is one cause.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from mrs_pipeline.notifying import Event, Notification, read_options, send, settle
from mrs_pipeline.orchestration.failures import failure_of_run
from mrs_pipeline.stages.checks.data import FILES_SPEC
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.node import WINDOW_DRIFT
from mrs_pipeline.tasks.task import CheckOutcome, Stage

_ADDED: Final = re.compile(r"( \(run \S+ in `mrs ui` has the details\)| \(window \S+ keeps the .*\))$")
"""What a run, or the reading of a window, adds to the sentence of a fault."""
_MET_ON_THE_WAY: Final = re.compile(r"window \S+, whose rows are read too: ")
"""What a run puts before the finding of a check of another window."""


def tell_of_files(home: Home, dataset: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Files that have become unreadable, each with its remedy; those that are mended are news when they fail again.

    Args:
        home: where `notify.yaml` lies.
        dataset: whose files.
        before: file -> fault at the look before.
        now: file -> fault.
    """
    settle(home, [_cause(fault) for name, fault in before.items() if now.get(name) != fault])
    for name, fault in now.items():
        if before.get(name) != fault:
            _tell_of_file(home, dataset, fault)


def tell_of_checks(stage: Stage, outcomes: Sequence[CheckOutcome]) -> None:
    """Checks that failed just now, one message each; of unreadable files one message a file."""
    for outcome in outcomes:
        what = f"check {outcome.name} of {stage.config.name}/{outcome.output}"
        if outcome.passed:
            continue
        if outcome.name == FILES_SPEC.name:
            for fault in outcome.facts["files"]["reason"]:
                _tell_of_file(stage.home, stage.config.name, fault)
            continue
        body = f"{what}: {outcome.description}"
        ends = "; what is below it was not made" if outcome.blocking else ""
        title = f"{stage.config.name}: check {outcome.name} failed at window {stage.window}{ends}"
        event = Event.DRIFT if outcome.output == WINDOW_DRIFT else Event.FAILED_CHECK
        send(stage.home, Notification(event, title, body, _cause(body)))


@contextmanager
def telling_of_failure(home: Home, dataset: str) -> Iterator[None]:
    """Says what the block fails of, if it does."""
    try:
        yield
    except Exception as error:
        sentence = str(error) or type(error).__name__
        send(home, Notification(Event.FAILURE, f"{dataset}: `mrs run` failed", sentence, _cause(sentence)))
        raise


def failure_sensors(home: Home) -> list[dg.SensorDefinition]:
    """What tells of runs that the UI, a schedule or a sensor has started; none where nobody wants to hear."""
    if not any(Event.FAILURE in receiver.events for receiver in read_options(home.root).to):
        return []

    @dg.run_failure_sensor(
        name="notify_failures",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends a message to the receivers in notify.yaml when a run fails.",
    )
    def notify_failures(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        sentence = failure_of_run(context.instance, run.run_id, run.job_name)
        again = run.tags.get(WILL_RETRY_TAG) == "true"
        body = (
            f"{sentence}. The daemon starts it again; it goes on from what was made." if again else sentence
        )
        window = run.tags.get("dagster/partition")
        title = f"{run.job_name} failed" + (f" at window {window}" if window else "")
        send(home, Notification(Event.FAILURE, title, body, _cause(sentence)))

    return [notify_failures]


def _tell_of_file(home: Home, dataset: str, fault: str) -> None:
    body = f"{fault}. The other windows run; this one follows when the file can be read."
    send(home, Notification(Event.FAILED_CHECK, f"{dataset}: a file cannot be read", body, _cause(fault)))


def _cause(sentence: str) -> str:
    """The sentence without what depends on who met it."""
    return _ADDED.sub("", _MET_ON_THE_WAY.sub("", sentence))
