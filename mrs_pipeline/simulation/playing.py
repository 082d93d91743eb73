"""Playing a story on a running daemon: files land, accidents happen, and what the product did is written down."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mrs_pipeline.orchestration.daemon import Daemon, SeenRun
from mrs_pipeline.plan import plan
from mrs_pipeline.promotion.decisions import REFUSED, Decision, promote, rollback
from mrs_pipeline.reporting.narrative import seconds_text
from mrs_pipeline.reporting.simulation_inputs import Happening, RunBar
from mrs_pipeline.serving.bundle import leading_model
from mrs_pipeline.simulation.feeding import OTHER_NAME, Stock, land, land_changed, land_cut_off
from mrs_pipeline.simulation.mailbox import Mailbox
from mrs_pipeline.simulation.story import Accident, Story
from mrs_pipeline.tasks.task import Stage

HISTORY: Final = "history"
_DECIDER: Final = "mrs simulate"
_RUN_NUMBER: Final = re.compile(r" \(run \S+ in `mrs ui` has the details\)")
_FORCE_REASON: Final = "the story of the simulation needs a champion here"


@dataclass
class Player:
    """Plays a story and keeps what happened.

    Attributes:
        stage: the dataset in the home that is fed.
        stock: all files of the year.
        daemon: of that home.
        mailbox: that its messages arrive in.
        began: seconds since 1970 at which the year began.
        happenings: what happened so far.
    """

    stage: Stage
    stock: Stock
    daemon: Daemon
    mailbox: Mailbox
    began: float
    happenings: list[Happening] = field(default_factory=list)

    def play(self, story: Story) -> None:
        """Feed the months in their order; returns when the last of them has settled."""
        self._settle(HISTORY, "", "What came before is there, with the catalogue.", self.began)
        late: list[str] = []
        for month in story.months:
            accidents = story.of(month)
            if Accident.LATE in accidents:
                text = "Its time has come, its file has not."
                self._settle(month, Accident.LATE, text, time.time())
            else:
                self._arrive(month, accidents, "Its file lands.")
                while late:
                    earlier = late.pop(0)
                    text = f"Its file lands at last, after {month} has been run."
                    self._arrive(earlier, story.of(earlier), text)
            late += [month] if Accident.LATE in accidents else []
            for each in accidents:
                if each is Accident.PROMOTION:
                    self._promote(month)
                if each is Accident.ROLLBACK:
                    self._roll_back(month)

    def _arrive(self, month: str, accidents: Sequence[Accident], text: str) -> None:
        """A month's file lands, spoilt first where the story says so."""
        spoilt = False
        if Accident.CORRUPT in accidents:
            spoilt, began = True, time.time()
            land_cut_off(self.stock, self.stage.home, month)
            self._settle(month, Accident.CORRUPT, "Its file lands cut off in the middle.", began)
        if Accident.SCHEMA in accidents:
            spoilt, began = True, time.time()
            land_changed(self.stock, self.stage.home, month)
            what = f"Its file lands with the column of the item called {OTHER_NAME}."
            self._settle(month, Accident.SCHEMA, what, began)
        began = time.time()
        land(self.stock, self.stage.home, month)
        text = "The sender puts the right file in its place." if spoilt else text
        accident = Accident.LATE if Accident.LATE in accidents else ""
        if Accident.KILL in accidents:
            steps = sum(task.windowed for task in plan(self.stage.config)) // 3
            self.daemon.kill_worker(month, began, steps)
            text = f"{text} The process of its run is killed (SIGKILL) after {steps} steps."
            accident = Accident.KILL
        self._settle(month, accident, text, began)

    def _settle(self, month: str, accident: str, what: str, began: float) -> None:
        """Wait until the product has done what there was to do, and write down what that was."""
        ended = self.daemon.wait_until_quiet(began)
        runs = self.daemon.runs(began)
        did = _sentence("; ".join(map(_run_text, runs))) or "The sensor looked and asked for no run."
        self.happenings.append(
            Happening(month, str(accident), what, self._told(began), did, began - self.began, ended - began)
        )

    def _promote(self, month: str) -> None:
        """The month's leader becomes the champion; where the rules refuse it, by force, and both are written down."""
        stage = self.stage.at(month)
        model = leading_model(stage)
        decision = self._decided(
            month, f"{model} leads and is proposed.", lambda: promote(stage, model, decided_by=_DECIDER)
        )
        if decision.outcome == REFUSED:
            self._decided(
                month,
                f"{model} is promoted against the rules, with a reason.",
                lambda: promote(stage, model, force=True, reason=_FORCE_REASON, decided_by=_DECIDER),
            )

    def _roll_back(self, month: str) -> None:
        reason = "customers complain, so the story goes"
        self._decided(
            month,
            "The champion is taken back.",
            lambda: rollback(self.stage, reason=reason, decided_by=_DECIDER),
            Accident.ROLLBACK,
        )

    def _decided(
        self, month: str, what: str, decide: Callable[[], Decision], accident: Accident = Accident.PROMOTION
    ) -> Decision:
        began = time.time()
        decision = decide()
        did = f"{decision.outcome.capitalize()}: {decision.model} of {decision.window}, {decision.reason}."
        seconds = time.time() - began
        told = self._told(began)
        self.happenings.append(Happening(month, str(accident), what, told, did, began - self.began, seconds))
        return decision

    def _told(self, since: float) -> tuple[str, ...]:
        """Messages since a moment, without places of this machine and numbers of runs."""
        root = f"{self.stage.home.root}/"
        return tuple(
            _RUN_NUMBER.sub("", f"{message.title}: {message.text}").replace(root, "")
            for message in self.mailbox.since(since)
        )


def bars(runs: Sequence[SeenRun], began: float) -> list[RunBar]:
    """The runs of a year for the page; seconds count from its beginning."""
    return [
        RunBar(run.window, run.job, run.started - began, run.ended - run.started, _word(run))
        for run in runs
        if run.started is not None and run.ended is not None
    ]


def _word(run: SeenRun) -> str:
    if run.failure:
        return "ended early"
    return "gone on" if run.retry else "done"


def _run_text(run: SeenRun) -> str:
    """`2024-08 run in 34 s`, and what was otherwise about it."""
    job = "read" if run.job.endswith("_ingest") else "run"
    if run.ended is None or run.started is None:
        return f"{run.window} ended before it began"
    seconds = seconds_text(run.ended - run.started)
    if run.failure:
        return f"{run.window} ended after {seconds}, {_RUN_NUMBER.sub('', run.failure)}"
    again = "started again by the daemon, " if run.retry else ""
    return f"{again}{run.window} {job} in {seconds}"


def _sentence(text: str) -> str:
    """With a capital and a full stop, if there is anything."""
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".!?" else "")
