"""The trials of one search for settings: kept as they end, so that an interrupted search goes on, and what to try next.

They lie in a journal of Optuna's, which `optuna-dashboard` can show; only finished ones do, so a killed process leaves
nothing to be cleared away. What is tried next depends on those that have ended and on nothing else: an interrupted
search ends as an uninterrupted one. What a trial does is `tuning`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from mrs_pipeline.storage.digests import text_digest

Point = dict[str, int]
"""Setting -> place of its value in the search space: a journal keeps numbers as they are, but no tuples."""
_DRAWS = 200
"""Proposals that may in a row have been tried before; then the search has settled."""


@dataclass(frozen=True)
class Trial:
    """How a training with some settings ended.

    Attributes:
        score: best validation score; None where the training diverged.
        epochs: passes over the data.
        seconds: wall time.
        failure: the sentence with which it diverged.
    """

    score: float | None
    epochs: int = 0
    seconds: float = 0.0
    failure: str = ""


class Trials:
    """The trials of one search."""

    def __init__(
        self, space: Mapping[str, Sequence[Any]], key: str, journal: Path | None, *, restart: bool
    ) -> None:
        """Takes up the search.

        Args:
            space: setting -> values to choose from.
            key: digest of all that decides what a trial comes to; another key is another search.
            journal: file that trials are kept in; in memory only if None.
            restart: forget the trials that are kept.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self._distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(range(len(values))) for name, values in space.items()
        }
        storage = None
        if journal is not None:
            journal.parent.mkdir(parents=True, exist_ok=True)
            storage = JournalStorage(JournalFileBackend(str(journal)))
        if storage and restart and key in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=key, storage=storage)
        self._study = optuna.create_study(
            study_name=key, storage=storage, direction="maximize", load_if_exists=True
        )

    @property
    def done(self) -> list[tuple[Point, Trial]]:
        """The trials that have ended, in their order."""
        return [(dict(each.params), Trial(**each.user_attrs)) for each in self._study.trials]

    @property
    def defaults(self) -> Trial | None:
        """The training with the defaults, where these lie outside of the space and it has ended."""
        kept = self._study.user_attrs.get("defaults")
        return None if kept is None else Trial(**kept)

    def keep_defaults(self, trial: Trial) -> None:
        """Keep what the defaults outside of the space came to."""
        self._study.set_user_attr("defaults", asdict(trial))

    def keep(self, point: Point, trial: Trial) -> None:
        """Keep a trial that has ended; one that diverged counts as the worst."""
        self._study.add_trial(
            create_trial(
                state=TrialState.PRUNED if trial.score is None else TrialState.COMPLETE,
                value=trial.score,
                params=point,
                distributions=self._distributions,
                user_attrs=asdict(trial),
            )
        )

    def point(self, settings: Mapping[str, Any]) -> Point | None:
        """Where settings lie in the space; None if outside."""
        if any(settings[name] not in values for name, values in self.space.items()):
            return None
        return {name: list(values).index(settings[name]) for name, values in self.space.items()}

    def settings(self, point: Point) -> dict[str, Any]:
        """The settings at a point."""
        return {name: self.space[name][place] for name, place in point.items()}

    def next_of_grid(self) -> Point | None:
        """The first point of the whole grid that has not been tried; None if all have."""
        tried = [point for point, _ in self.done]
        grid = (
            dict(zip(self.space, places, strict=True))
            for places in product(*(range(len(values)) for values in self.space.values()))
        )
        return next((point for point in grid if point not in tried), None)

    def next_of_tpe(self, seed: int) -> Point | None:
        """What seeded TPE proposes after the trials so far; None if it only repeats what has been tried."""
        tried = [point for point, _ in self.done]
        return next((point for point in self._proposals(seed, len(tried)) if point not in tried), None)

    def _proposals(self, seed: int, number: int) -> Iterator[Point]:
        """The most promising of 24 draws, which over a few values is soon the same again; then draws as they come."""
        ended: list[FrozenTrial] = self._study.trials
        for draw in range(_DRAWS):
            sampler = optuna.samplers.TPESampler(
                seed=int(text_digest(str(seed), str(number), str(draw))[:8], 16),
                n_ei_candidates=1 if draw else 24,
            )
            memory = optuna.create_study(direction="maximize", sampler=sampler)
            memory.add_trials(ended)
            yield dict(memory.ask(self._distributions).params)
