"""Examples of the report: what some users would be shown by two models, and what speaks for it.

A final model is loaded as for serving, so memory is that of `mrs serve`: the weights, the training rows and one matrix
of features a modality.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.reporting.inputs import ExplainedList, ItemCard, PlaceEvidence, SampleUser
from mrs_pipeline.reporting.narrative import best_baseline, best_content
from mrs_pipeline.serving.bundle import Bundle, load_bundle
from mrs_pipeline.serving.explaining import Explanation, explanation, sentence
from mrs_pipeline.stored.cards import Cards
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import exists
from mrs_pipeline.tasks.task import Stage

SAMPLE_USERS = 4
SAMPLE_ITEMS = 8
GALLERY_USERS = 3
GALLERY_ITEMS = 3
GALLERY_MODELS = 4


@dataclass(frozen=True)
class Shown:
    """Two models whose lists stand beside each other.

    Attributes:
        leader: the leading model.
        other: the best model of the other kind, with content or without, else popularity; None where neither has lists.
        content: models that read content, best first.
    """

    leader: str
    other: str | None
    content: tuple[str, ...]

    @classmethod
    def of(cls, stage: Stage, board: pl.DataFrame, popularity: str) -> "Shown":
        """The leader of a window and the model beside it.

        Args:
            stage: at the window.
            board: the window's rows of the leaderboard, ranked ones only, best first.
            popularity: name of the model that stands for the other kind only where there is no other.
        """
        rows = [row for row in board.to_dicts() if exists(stage, Node(Kind.RECOMMENDATIONS, row["model"]))]
        kinds = (best_content(rows), best_baseline(rows, popularity))
        names = [None if row is None else str(row["model"]) for row in kinds]
        leader = str(rows[0]["model"])
        names += [popularity] if popularity in {row["model"] for row in rows} else []
        other = next((name for name in names if name not in (None, leader)), None)
        content = tuple(str(row["model"]) for row in rows if best_content([row]) is not None)
        return cls(leader, other, content)


def sample_users(stage: Stage, shown: Shown) -> tuple[SampleUser, ...]:
    """A few users with test rows: what they had, what the two models offer them, what of it they took."""
    splits = stage.lake.read(stage.table("core", "splits"))
    tested = splits.filter(pl.col("split") == "test")
    names = [shown.leader] if shown.other is None else [shown.leader, shown.other]
    lists = {
        name: stage.lake.read(stage.table("serving", "recommendations", model=name)).sort("rank")
        for name in names
    }
    cards = Cards(stage)
    samples = []
    for user in _chosen(tested):
        had = splits.filter((pl.col("user") == user) & (pl.col("split") != "test")).sort(
            "timestamp", descending=True, nulls_last=True
        )
        took = set(tested.filter(pl.col("user") == user)["item"])
        offered = [
            tuple(
                cards.card(item, hit=item in took)
                for item in lists[name].filter(pl.col("user") == user)["item"].head(SAMPLE_ITEMS)
            )
            for name in names
        ]
        user_id = lists[shown.leader].filter(pl.col("user") == user)["user_id"]
        samples.append(
            SampleUser(
                user_id=str(user_id[0]) if len(user_id) else str(user),
                model=MODELS[shown.leader].spec.name,
                history=tuple(cards.card(item) for item in had["item"].head(SAMPLE_ITEMS)),
                recommended=offered[0],
                other="" if shown.other is None else shown.other,
                recommended_by_other=offered[1] if len(offered) > 1 else (),
            )
        )
    return tuple(samples)


def _chosen(tested: pl.DataFrame) -> list[int]:
    """Users spread over those with the most test rows."""
    users = tested.group_by("user").len().sort("len", "user", descending=[True, False])["user"].head(40)
    return users.gather_every(max(1, len(users) // SAMPLE_USERS)).head(SAMPLE_USERS).to_list()


def gallery(stage: Stage, shown: Shown, users: Sequence[SampleUser]) -> tuple[ExplainedList, ...]:
    """The first places of a few lists with their evidence, by the best model that reads content.

    Where its score cannot be taken apart by modality, by the best of the next few where it can.
    """
    kind = Kind.FINAL if stage.config.serving.refit else Kind.TRAINED
    made = [name for name in shown.content if exists(stage, Node(kind, name))]
    first: tuple[ExplainedList, ...] = ()
    for name in made[:GALLERY_MODELS]:
        found = _explained(stage, name, users)
        if any(place.shares for each in found for place in each.places):
            return found
        first = first or found
    return first


def _explained(stage: Stage, model: str, users: Sequence[SampleUser]) -> tuple[ExplainedList, ...]:
    bundle = load_bundle(stage, model)
    lists = stage.lake.read(stage.table("serving", "recommendations", model=model))
    cards = Cards(stage)
    found = []
    for user in users:
        number = bundle.users.get(user.user_id)
        if number is None or not bundle.known_users[number] or not len(bundle.history_of(number)):
            continue  # shown what is popular: there is nothing to explain
        items = lists.filter(pl.col("user_id") == user.user_id).sort("rank")["item_id"].head(GALLERY_ITEMS)
        places = tuple(
            _evidence(bundle, cards, explanation(bundle, item, user=user.user_id))
            for item in items
            if bundle.rankable[bundle.shelf.number(item)]
        )
        found += [ExplainedList(user.user_id, bundle.name, places)] if places else []
    return tuple(found[:GALLERY_USERS])


def _evidence(bundle: Bundle, cards: Cards, found: Explanation) -> PlaceEvidence:
    excess = sorted(found.excess.items(), key=lambda pair: -pair[1])
    most = max((abs(value) for value in found.excess.values()), default=0.0) or 1.0
    alike = tuple(
        (str(name), _alike(bundle, cards, str(name), found, ids[0]))
        for name, ids in found.nearest.items()
        if ids
    )
    return PlaceEvidence(
        item=cards.card(bundle.shelf.number(found.item_id), note=f"{found.score:.3f}"),
        sentence=sentence(found),
        shares=tuple((name, f"{value:+.3f}", max(value, 0.0) / most) for name, value in excess),
        alike=alike,
    )


def _alike(bundle: Bundle, cards: Cards, modality: str, found: Explanation, other: str) -> ItemCard:
    rows = bundle.content[modality].values
    one, two = bundle.shelf.number(found.item_id), bundle.shelf.number(other)
    return cards.card(two, note=f"{modality} {float(rows[one] @ rows[two]):.2f}")
