"""Experiment 5: frozen features, two steps, or gradients into the encoder? Accuracy against seconds and memory."""

from collections.abc import Sequence
from importlib.util import find_spec

from mrs_pipeline.studies.base import Arm, Experiment, Modalities


def _arms(_: Modalities) -> Sequence[Arm]:
    """LoRA is an arm where the package that it needs is installed."""
    lora = [Arm("LoRA", "end_to_end", {"tuning": "lora"}, "end to end")] if find_spec("peft") else []
    return [
        Arm("frozen", "end_to_end", {"tuning": "frozen"}, "frozen"),
        Arm("two steps (PMGT)", "pmgt", series="two steps"),
        Arm("meta-learning (MML)", "mml", series="two steps"),
        Arm("distillation (PromptMM)", "promptmm", series="two steps"),
        Arm("top layers", "end_to_end", {"tuning": "top"}, "end to end"),
        *lora,
        Arm("all layers", "end_to_end", {"tuning": "full"}, "end to end"),
    ]


TRAINING = Experiment(
    name="training",
    title="How encoders are trained",
    question="Is it worth sending gradients into the encoder, and how deep?",
    reading="Frozen, top layers, LoRA and all layers share encoder, head and data and differ only in what may change. "
    "Two steps are models of their own, each with what it does first: PMGT pre-trains on items alone, MML learns to "
    "learn from short histories, PromptMM trains a teacher. Their seconds include the first step.",
    arms=_arms,
    cost=True,
    raw=True,
)
