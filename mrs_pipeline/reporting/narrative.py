"""The report's sentences, written from the leaderboard's numbers: no claim that a column does not hold.

A difference is called one only where the paired test says so; the lack of one is said as plainly.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from mrs_pipeline.reporting.taxonomy_matrix import AXIS_TITLES
from mrs_pipeline.taxonomy import Axis

ALPHA = 0.05
Row = Mapping[str, Any]


def summary(group: pl.DataFrame, metric: str, popularity: str) -> list[str]:
    """Plain sentences about one (protocol, dataset, window) of the leaderboard, most important first.

    Args:
        group: its rows, best first.
        metric: the ranking column.
        popularity: name of the non-personal reference.
    """
    rows = group.filter(pl.col(metric).is_not_null()).to_dicts()
    if not rows:
        return [f"No model has a value of {metric} here."]
    sentences = [
        _leader(rows, metric),
        _content_against_baseline(rows, metric, popularity),
        _ties(rows),
        _against_popularity(rows[0], rows, metric, popularity),
        _cold(rows, metric, popularity),
        _cheapest(rows),
        _caveat(rows),
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
    low, high = leader[f"{metric}_ci_low"], leader[f"{metric}_ci_high"]
    interval = f" (95 % interval {low:.4f} to {high:.4f})" if low is not None and high is not None else ""
    field = f"leads the {len(rows)} models" if len(rows) > 1 else "is the only model here,"
    users = f" over {leader['n_users']:,} users" if leader["n_users"] else ""
    kind = f" ({AXIS_TITLES[Axis(leader['axis'])].lower()})" if leader["axis"] else ""
    return f"{leader['model']}{kind} {field} with {metric} {leader[metric]:.4f}{interval}{users}."


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
    numbers = f"difference {-row['best_difference']:.4f}, 95 % interval {low:.4f} to {high:.4f}, {p_text(p)}"
    if p < ALPHA:
        return f"the paired test over users separates the two ({numbers})"
    return f"the paired test over users does not separate the two ({numbers})"


def _ties(rows: list[dict[str, Any]]) -> str:
    tied = [row["model"] for row in rows[1:] if row["best_p"] is not None and row["best_p"] >= ALPHA]
    if not tied:
        tested = [row for row in rows[1:] if row["best_p"] is not None]
        return f"It is separated from all {len(tested)} other models." if len(tested) > 1 else ""
    return f"Not to be told apart from the leader on these users: {_listed(tied)}."


def _against_popularity(leader: Row, rows: list[dict[str, Any]], metric: str, popularity: str) -> str:
    reference = next((row for row in rows if row["model"] == popularity), None)
    if reference is None or reference["model"] == leader["model"] or reference[metric] <= 0:
        return ""
    losing = [row["model"] for row in rows if row["rank"] > reference["rank"]]
    text = f"Recommending what is popular to everybody gives {reference[metric]:.4f}; the leader reaches "
    text += f"{leader[metric] / reference[metric]:.1f} times that."
    return text + (f" Below popularity: {_listed(losing)}." if losing else "")


def _cold(rows: list[dict[str, Any]], metric: str, popularity: str) -> str:
    """Whether content helps items without history; claimed only where the two intervals do not overlap."""
    column = f"cold_{metric}"
    known = sorted((row for row in rows if row.get(column) is not None), key=lambda row: -row[column])
    content, baseline = best_content(known), best_baseline(known, popularity)
    if content is None:
        return ""
    if baseline is None:
        return f"On cold items {content['model']} is best of the content models with {content[column]:.4f}."
    text = (
        f"On cold items, which have no event in training, {content['model']} reaches {content[column]:.4f} "
        f"and {baseline['model']}, the best without content, {baseline[column]:.4f}"
    )
    ends = content.get(f"{column}_ci_low"), baseline.get(f"{column}_ci_high")
    if content[column] <= baseline[column]:
        return text + ": content does not help there."
    if ends[0] is None or ends[1] is None:
        return text + "; there are no intervals to judge this by."
    return text + (": content helps there." if ends[0] > ends[1] else ", but their intervals overlap.")


def _cheapest(rows: list[dict[str, Any]]) -> str:
    """A much faster model that the test cannot tell from the leader."""
    leader = rows[0]
    tied = [
        row
        for row in rows[1:]
        if row["best_p"] is not None and row["best_p"] >= ALPHA and row["seconds"] and leader["seconds"]
    ]
    fastest = min(tied, key=lambda row: float(row["seconds"]), default=None)
    if fastest is None or fastest["seconds"] * 2 > leader["seconds"]:
        return ""
    return (
        f"Where training time counts, {fastest['model']} is as good as the test can see at "
        f"{seconds_text(fastest['seconds'])} instead of {seconds_text(leader['seconds'])}."
    )


def _caveat(rows: list[dict[str, Any]]) -> str:
    if len(rows) > 1 and max(row["seeds"] for row in rows) == 1:
        return (
            "Each model was trained with one seed: intervals cover the draw of users, not luck in training."
        )
    return ""


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
