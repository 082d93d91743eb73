"""The settings of a split. What each strategy does with them is in the file named after it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Strategy = Literal["random", "leave_one_out", "global_time", "given"]


class SplitOptions(BaseModel):
    """How train, validation and test are told apart."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    strategy: Strategy = "random"
    """`random`: a share of each user's rows; `leave_one_out`: each user's last row tests, the one before
    validates; `global_time`: everything after a moment tests; `given`: the source's own `split` column."""
    valid: float = Field(default=0.1, ge=0.0, le=0.5)
    """Share of rows for validation; with windows, of the history. Not used by leave_one_out and given."""
    test: float = Field(default=0.1, ge=0.0, le=0.5)
    """Share of rows for the test. Not used by leave_one_out, given and windows."""
    cold_items: float = Field(default=0.0, ge=0.0, le=0.5)
    """Only for `random`: share of items whose rows all test, so that nothing of them is ever trained on."""
    held_out_users: float = Field(default=0.0, ge=0.0, le=0.5)
    """Share of users none of whose rows trains: those that would, validate, so that models which fold histories in are
    measured on people they never saw, in the slice `new users`. Epochs are chosen without them."""
    seed: int = Field(default=1, ge=0, le=2**32 - 1)
    """Decides which rows are drawn, and between rows of the same moment."""

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> "SplitOptions":
        if self.valid + self.test > 0.9:
            raise ValueError(
                "split: valid and test together may be at most 0.9, so that rows to train on stay"
            )
        if self.cold_items and self.strategy != "random":
            raise ValueError("split: cold_items holds items out of a random split; set strategy: random")
        return self
