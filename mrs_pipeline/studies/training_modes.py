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
        Arm("top layers", "end_to_end", {"tuning": "top"}, "end to end"),
        *lora,
        Arm("all layers", "end_to_end", {"tuning": "full"}, "end to end"),
    ]


TRAINING = Experiment(
    name="training",
    title="How encoders are trained",
    question="Is it worth sending gradients into the encoder, and how deep?",
    reading="Frozen, top layers, LoRA and all layers share encoder, head and data and differ only in what may change. "
    "Two steps pre-trains on items alone and fine-tunes afterwards; its seconds include the pre-training.",
    arms=_arms,
    cost=True,
    raw=True,
)
