"""From per-user metrics to the numbers of a table: means with confidence intervals over users."""

import numpy as np

from mrs_pipeline.evaluation.slices import UserMetrics

CONFIDENCE = 0.95


def summary_rows(metrics: UserMetrics) -> list[dict[str, str | int | float]]:
    """One row a metric and cut-off: mean over users and its 95 % interval (Student's t over users)."""
    return [
        {
            "slice": metrics.slice,
            "protocol": metrics.protocol,
            "metric": name.partition("@")[0],
            "k": int(name.partition("@")[2]),
            "users": len(metrics.users),
            **_interval(values.astype(np.float64)),
        }
        for name, values in metrics.values.items()
    ]


def _interval(values: np.ndarray) -> dict[str, float]:
    from scipy import stats

    mean = float(values.mean())
    error = float(stats.sem(values)) if len(values) > 1 else 0.0
    if error == 0.0:
        return {"value": mean, "ci_low": mean, "ci_high": mean}
    low, high = stats.t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=error)
    return {"value": mean, "ci_low": float(low), "ci_high": float(high)}
