"""Settings of ranking and of metrics. Imports no torch: definitions load this file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_METRICS = ("recall", "ndcg", "precision", "map", "mrr", "hit")


class EvaluationOptions(BaseModel):
    """What is measured, and against which candidates."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ks: tuple[int, ...] = Field(default=(5, 10, 20, 50), min_length=1)
    """Cut-offs of the ranked lists."""
    exclude: Literal["train", "train_valid"] = "train_valid"
    """Items that are no candidates when testing: those a user took in train, or in train and validation.
    Validation itself always excludes train only. The rule is written into every row of metrics."""
    select_on: str = "recall@20"
    """Validation metric that chooses epochs and hyper-parameters, `<metric>@<k>`."""

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
        if name not in _METRICS or not k.isdigit() or int(k) < 1:
            raise ValueError(
                f"select_on must be one of {', '.join(_METRICS)} followed by @k, such as recall@20"
            )
        return select_on

    @property
    def select_k(self) -> int:
        """The cut-off of `select_on`."""
        return int(self.select_on.partition("@")[2])
