"""Settings of ranking and of metrics. Imports no torch: definitions load this file."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mrs_pipeline.errors import InputError
from mrs_pipeline.metrics.base import parse_label
from mrs_pipeline.metrics.registry import METRICS, metrics_of

MEASURED: Final = (
    "recall",
    "ndcg",
    "precision",
    "map",
    "mrr",
    "hit",
    "coverage",
    "gini",
    "novelty",
    "popularity",
)
"""What is measured unless the settings say otherwise: accuracy, and what lists tell at little cost."""

COMPARED: Final = ("recall@20", "ndcg@20")
"""What leaderboard and report show first; the first of them ranks."""


class EvaluationOptions(BaseModel):
    """What is measured, and against which candidates."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    metrics: tuple[str, ...] = Field(default=MEASURED, min_length=1)
    """What is measured on the test rows; docs/metrics.md lists the metrics with formulas. `diversity` needs features,
    `calibration` an `attribute`."""
    ks: tuple[int, ...] = Field(default=(5, 10, 20, 50), min_length=1)
    """Cut-offs of the ranked lists."""
    exclude: Literal["train", "train_valid"] = "train_valid"
    """Items that are no candidates when testing: those a user took in train, or in train and validation.
    Validation itself always excludes train only. The rule is written into every row of metrics."""
    refit: bool = False
    """Whether what is tested is trained again on train and validation rows together, for the epochs that validation
    chose, as what is served is. The rule is written into every row of metrics. Experiments do not heed it."""
    select_on: str = "recall@20"
    """Validation metric that chooses epochs and hyper-parameters, `<metric>@<k>`: one of accuracy, with a value for
    each user."""
    attribute: str | None = None
    """Column of the catalogue whose values `calibration` compares, such as a genre."""
    attribute_separator: str = Field(default="|", min_length=1)
    """What stands between the values of that column."""

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"metrics: {max(names, key=names.count)} is listed twice; leave one out")
        try:
            metrics_of(names)
        except InputError as error:
            raise ValueError(f"metrics: {error}") from error
        return names

    @field_validator("ks")
    @classmethod
    def _ascending(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        if list(ks) != sorted(set(ks)) or ks[0] < 1:
            raise ValueError("ks must be positive, ascending, each once")
        return ks

    @field_validator("select_on")
    @classmethod
    def _known_metric(cls, select_on: str) -> str:
        name, _, k = select_on.partition("@")
        able = [metric.name for metric in METRICS.values() if metric.selects]
        if name not in able or not k.isdigit() or int(k) < 1:
            raise ValueError(f"select_on must be one of {', '.join(able)} followed by @k, such as recall@20")
        return select_on

    @model_validator(mode="after")
    def _refit_excludes_validation_rows(self) -> "EvaluationOptions":
        if self.refit and self.exclude == "train":
            raise ValueError(
                "refit makes training rows of the validation rows, so that they cannot be candidates: leave exclude "
                "at train_valid, or refit at false"
            )
        return self

    @property
    def select_metric(self) -> str:
        """The name in `select_on`."""
        return parse_label(self.select_on)[0]

    @property
    def select_k(self) -> int:
        """The cut-off of `select_on`."""
        return int(self.select_on.partition("@")[2])

    def accuracy_only(self) -> "EvaluationOptions":
        """The same rules, measuring no more than accuracy from places, of models as they were chosen.

        The metric that selects is among what is measured.
        """
        chosen = [metric.name for metric in metrics_of(self.metrics) if metric.selects]
        names = tuple(dict.fromkeys([*chosen, self.select_metric]))
        ks = tuple(sorted({*self.ks, self.select_k}))
        return self.model_copy(update={"metrics": names, "ks": ks, "refit": False})
