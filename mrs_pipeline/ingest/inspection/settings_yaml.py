"""A dataset's settings as YAML with a comment a section. Text only; writing the file is for the caller."""

from collections.abc import Mapping
from typing import Any, Final

_COMMENTS: Final = {
    "name": "First part of every asset key, and the `dataset` column of every table.",
    "description": "A sentence for the report and the UI.",
    "source": "Where the raw files are; $NAME in the path stands for an environment variable.",
    "window": "Partitions of time: none, day, week, month or year. Without `end`, they go on to now.",
    "interactions": "min_rating: what counts as liking; k_core: fewest interactions a user or item has.",
    "features": "One entry a feature set; where a modality has several, models use the first.",
    "split": "random, leave_one_out, global_time or given; with windows only `valid` counts.",
    "models": "The models to train; write settings to change between the braces.",
    "seeds": "Each model is trained once a seed; reports show mean and spread.",
}


def to_yaml(settings: Mapping[str, Any]) -> str:
    """The settings in their order, each section below a line that explains it."""
    import yaml

    parts = []
    for key, value in settings.items():
        # A list of small things reads best with one of them a line.
        flow = None if isinstance(value, list) else False
        dumped = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, default_flow_style=flow)
        parts.append(f"# {_COMMENTS[key]}\n{dumped}" if key in _COMMENTS else dumped)
    return "".join(parts)
