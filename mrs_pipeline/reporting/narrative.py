"""The report's sentences, written from the leaderboard's numbers: no claim that a column does not hold.

A difference is called one only where the paired test says so; the lack of one is said as plainly. Rows that were
measured on other data are no part of any sentence but the one that says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from mrs_pipeline.reporting.leaderboard import ONE_SEED, USERS_AND_SEEDS, current
from mrs_pipeline.reporting.taxonomy_matrix import AXIS_TITLES
from mrs_pipeline.statistics import ALPHA
from mrs_pipeline.taxonomy import Axis

Row = Mapping[str, Any]


def summary(group: pl.DataFrame, metric: str, popularity: str) -> list[str]:
    """Plain sentences about one (protocol, dataset, window) of the leaderboard, most important first.

    Args:
        group: its rows, best first.
        metric: the ranking column.
        popularity: name of the non-personal reference.
    """
    rows = current(group).filter(pl.col(metric).is_not_null()).to_dicts()
    if not rows:
        return [f"No model has a value of {metric} on today's data."]
    sentences = [
        _deploy(rows, metric),
        _leader(rows, metric),
        _certainty(rows, metric),
        _content_against_baseline(rows, metric, popularity),
        _ties(rows),
        _against_popularity(rows[0], rows, metric, popularity),
        _cold(rows, popularity),
        _one_seed(rows),
        tuning_told(rows),
        _stale(group),
    ]
    return [sentence for sentence in sentences if sentence]


def best_baseline(rows: list[dict[str, Any]], popularity: str) -> Row | None:
    """The best collaborative model that is more than popularity; `rows` best first."""
    return next((row for row in rows if row["axis"] == Axis.BASELINE and row["model"] != popularity), None)


def best_content(rows: list[dict[str, Any]]) -> Row | None:
    """The best model that reads item content; `rows` best first."""
    return next((row for row in rows if row["axis"] not in (None, Axis.BASELINE)), None)


def gain(value: float, reference: float) -> str:
    """`+12 %`, `-3 %`, or a multiple where the gain is large."""
    if reference <= 0:
        return "from zero" if value > 0 else "+0 %"
    ratio = value / reference
    return f"{ratio:.1f}×" if ratio >= 2 else f"{100 * (ratio - 1):+.1f} %".replace("-", "−")


def p_value(p: float) -> str:
    """`< 0.001`, `0.012`: for a column of p-values."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_text(p: float) -> str:
    """`p < 0.001`, `p = 0.012`."""
    value = p_value(p)
    return f"p {value}" if value.startswith("<") else f"p = {value}"


def _leader(rows: list[dict[str, Any]], metric: str) -> str:
    leader = rows[0]
    field = f"leads the {len(rows)} models" if len(rows) > 1 else "is the only model here,"
    users = f" over {leader['n_users']:,} users" if leader["n_users"] else ""
    kind = f" ({AXIS_TITLES[Axis(leader['axis'])].lower()})" if leader["axis"] else ""
    return f"{leader['model']}{kind} {field} with {metric} {leader[metric]:.4f}{users}."


def _certainty(rows: list[dict[str, Any]], metric: str) -> str:
    """What the leader's interval means, and what it allows for."""
    leader = rows[0]
    low, high = leader[f"{metric}_ci_low"], leader[f"{metric}_ci_high"]
    if low is None or high is None:
        return ""
    chance = {
        USERS_AND_SEEDS: f"chance in who was measured and in the random seeds of training ({leader['seeds']} of them)",
        ONE_SEED: "chance in who was measured, not for luck in training, which was done once",
    }
    return (
        f"With 95 % confidence its true value lies between {low:.4f} and {high:.4f}; that allows for "
        f"{chance.get(leader['interval_over'], 'chance in who was measured')}."
    )


def _content_against_baseline(rows: list[dict[str, Any]], metric: str, popularity: str) -> str:
    """The leader's kind (content or not) against the best of the other kind; one of the two is the leader."""
    baseline, content = best_baseline(rows, popularity), best_content(rows)
    if baseline is None or content is None:
        return ""
    leader = rows[0]
    if leader["model"] not in (baseline["model"], content["model"]):  # popularity leads
        return (
            f"Nothing beats {leader['model']} here: no personal model has learnt more than what is popular."
        )
    other = baseline if leader is content else content
    verdict = _verdict(other)
    if leader is content:
        return (
            f"That is {gain(content[metric], baseline[metric])} against {baseline['model']}, the best model "
            f"that sees no content; {verdict}."
        )
    return (
        f"No model that reads content does better: {content['model']}, the best of them, stands at "
        f"{content[metric]:.4f} ({gain(content[metric], leader[metric])}); {verdict}."
    )


def _verdict(row: Row) -> str:
    """What the paired test of `row` against the leader says."""
    p = row["best_p"]
    if p is None:
        return "without per-user values this difference could not be tested"
    low, high = -row["best_high"], -row["best_low"]  # the leader's lead, not the follower's deficit
    ends = f"{low:.4f} to {high:.4f}".replace("-", "−")
    numbers = (
        f"a lead of {-row['best_difference']:.4f}, {ends} with all models taken into account, {p_text(p)}"
    )
    if p < ALPHA:
        return f"on the same users that is more than chance explains ({numbers})"
    return f"on the same users that may be chance ({numbers})"


def _ties(rows: list[dict[str, Any]]) -> str:
    tied = [row["model"] for row in rows[1:] if row["best_p"] is not None and row["best_p"] >= ALPHA]
    if not tied:
        tested = [row for row in rows[1:] if row["best_p"] is not None]
        return (
            f"Its lead over each of the {len(tested)} other models is more than chance."
            if len(tested) > 1
            else ""
        )
    return f"Not to be told apart from the leader, so that one of them may be as good: {_listed(tied)}."


def _against_popularity(leader: Row, rows: list[dict[str, Any]], metric: str, popularity: str) -> str:
    reference = next((row for row in rows if row["model"] == popularity), None)
    if reference is None or reference["model"] == leader["model"] or reference[metric] <= 0:
        return ""
    losing = [row["model"] for row in rows if row["rank"] > reference["rank"]]
    text = f"Recommending what is popular to everybody gives {reference[metric]:.4f}; the leader reaches "
    text += f"{leader[metric] / reference[metric]:.1f} times that."
    return text + (f" Below popularity: {_listed(losing)}." if losing else "")


@dataclass(frozen=True)
class Choice:
    """The model to put into use for one kind of items, and why it is this one.

    Attributes:
        row: of the leaderboard.
        why: a clause: how it compares with the most accurate one.
    """

    row: Row
    why: str


def choice_for_known(rows: Sequence[Row], metric: str) -> Choice:
    """For items with a history: the best on them, or the cheapest to train of those not told apart from it there.

    Where nothing was tested on warm items alone, all items are asked about.
    """
    warm = f"warm_{metric}"
    best = _best_of(rows, warm)
    if best is None or all(row.get("warm_best_p") is None for row in rows):
        tied = [row for row in rows[1:] if row["best_p"] is not None and row["best_p"] >= ALPHA]
        return _cheapest(rows[0], tied, "best_p", metric)
    tied = [row for row in rows if row is not best and (row.get("warm_best_p") or 0) >= ALPHA]
    return _cheapest(best, tied, "warm_best_p", warm)


def choice_for_new(rows: Sequence[Row]) -> Choice | None:
    """For items without one, by the metric on cold items; None where nothing is shown to be better than chance."""
    best = _best_of(rows, "cold_value")
    if best is None or not _above_chance(best):
        return None
    tied = [
        row
        for row in rows
        if row is not best
        and row.get("cold_value") is not None
        and _above_chance(row)
        and (row["cold_best_p"] or 0) >= ALPHA
    ]
    return _cheapest(best, tied, "cold_best_p", "cold_value")


def _cheapest(best: Row, tied: Sequence[Row], p: str, metric: str) -> Choice:
    """The cheapest of the best and those tied with it."""
    label = best["cold_metric"] if metric == "cold_value" else metric.removeprefix("warm_")
    known = [row for row in (best, *tied) if row["seconds"] is not None]
    cheapest = min(known, key=lambda row: float(row["seconds"]), default=best)
    value = f"{label} {cheapest[metric]:.4f}"
    if cheapest is best:
        others = f", the cheapest of {len(tied) + 1} that are tied" if tied else ""
        return Choice(best, f"the most accurate{others}, {value}")
    return Choice(
        cheapest,
        f"not to be told apart from {best['model']} ({value} against {best[metric]:.4f}, {p_text(cheapest[p])}) and "
        f"the cheapest to train of {len(tied) + 1} such",
    )


def _deploy(rows: list[dict[str, Any]], metric: str) -> str:
    """What a stranger wants to know first: which model for items with a history, which for new ones, at what cost."""
    if len(rows) == 1:
        return ""
    known = choice_for_known(rows, metric).row
    text = f"For items with a history deploy {known['model']}{_cost(known)}"
    if _best_of(rows, "cold_value") is None:
        return text + "."
    new = choice_for_new(rows)
    if new is None:
        return text + "; for new items no model is shown to be better than chance."
    if new.row["model"] == known["model"]:
        return text + ", and for new items too."
    return text + f", for new items {new.row['model']}{_cost(new.row)}."


def _cost(row: Row) -> str:
    text = cost_text(row)
    return f" ({text})" if text else ""


def cost_text(row: Row) -> str:
    """`3.3 s of training, 118 MB of memory above the data`; empty where neither is known."""
    seconds, memory = row["seconds"], row["peak_memory_mb"]
    parts = [] if seconds is None else [f"{seconds_text(seconds)} of training"]
    parts += [] if memory is None else [f"{memory:,.0f} MB of memory above the data"]
    return ", ".join(parts)


def _best_of(rows: Sequence[Row], column: str) -> Row | None:
    """The first row by a column; None where nobody has a value of it."""
    known = [row for row in rows if row.get(column) is not None]
    return max(known, key=lambda row: float(row[column]), default=None)


def _above_chance(row: Row) -> bool:
    """Whether the whole interval on cold items lies above what a random order finds."""
    low, chance = row["cold_low"], row["cold_chance"]
    return low is not None and chance is not None and low > chance


def _cold(rows: list[dict[str, Any]], popularity: str) -> str:
    """What is found of items without history, beside chance and the best baseline that ranks them by content."""
    best = _best_of(rows, "cold_value")
    if best is None:
        return ""
    k = str(best["cold_metric"]).partition("@")[2]
    text = (
        f"On the {best['cold_items']:,} cold items, which have no event in training, {best['model']} finds "
    )
    text += (
        f"{best['cold_value']:.4f} of what {best['cold_users']:,} users took, among the first {k} of a list"
    )
    if best["cold_low"] is not None:
        text += f" ({best['cold_low']:.4f} to {best['cold_high']:.4f})"
    if best["cold_chance"] is not None:
        sure = ": that is more than chance" if _above_chance(best) else ", so it may be chance"
        text += f"; a random order finds {best['cold_chance']:.4f}{sure}"
    text += "."
    known = sorted(
        (row for row in rows if row.get("cold_value") is not None), key=lambda row: -row["cold_value"]
    )
    baseline = best_baseline(known, popularity)
    if baseline is not None and baseline is not known[0]:
        p = baseline["cold_best_p"]
        told = (
            "that could not be tested"
            if p is None
            else f"{'more than chance' if p < ALPHA else 'may be chance'}, {p_text(p)}"
        )
        text += (
            f" {baseline['model']}, which compares content and learns nothing of it, finds "
            f"{baseline['cold_value']:.4f} ({told})."
        )
    elif baseline is not None:
        text += " No model that learns from content does better than this comparison of content."
    blind = [row["model"] for row in rows if row.get("cold_value") is None]
    return text + (f" They see no content and cannot rank these items: {_listed(blind)}." if blind else "")


def _one_seed(rows: list[dict[str, Any]]) -> str:
    once = [row["model"] for row in rows if row["interval_over"] == ONE_SEED]
    if not once or len(rows) == 1:
        return ""
    whom = "all models" if len(once) == len(rows) else _listed(once)
    return (
        f"Trained with one seed, so that intervals and tests cover users alone, not luck in training: {whom}."
    )


def tuning_told(rows: Sequence[Row]) -> str:
    """How evenly settings were searched; a model on its defaults may be worth more than its place."""
    known = [row for row in rows if row["trials"] is not None]
    searched = [row for row in known if row["trials"]]
    if len(known) < 2:
        return ""
    if not searched:
        return (
            "No model's settings were searched for: each runs on its defaults or on what was written by hand."
        )
    counts = {row["trials"] for row in known}
    if len(counts) == 1:
        return f"Settings were searched for each model alike, with {counts.pop()} trials."
    told = _listed([f"{row['model']} ({row['trials']} trials)" for row in searched])
    rest = [row["model"] for row in known if not row["trials"]]
    others = f"; not for {_listed(rest)}, whose places may understate them" if rest else ""
    return f"Settings were not searched for evenly: for {told}{others}."


def _stale(group: pl.DataFrame) -> str:
    models = group.filter("stale")["model"].to_list()
    return f"Measured on older data and therefore not ranked: {_listed(models)}." if models else ""


def seconds_text(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _listed(names: list[str], limit: int = 6) -> str:
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
