"""A dozen scores a model on the toy market, kept in golden_scores.json so that no number moves unseen.

Run as a script to write them anew; it prints what changed. Say so in the changelog under [Metric].
"""

import json
from pathlib import Path

import torch

from mrs_pipeline.models.registry import MODELS
from mrs_pipeline_tests.toy import toy_market, trained

FILE = Path(__file__).with_name("golden_scores.json")
USERS = torch.tensor([0, 7, 33, 41])
ITEMS = torch.tensor([1, 20, 38])
STEADY = {"sasrec": {"dropout": 0.0}}
"""Settings of models whose dropout draws other masks on other processors."""


def current(name: str) -> list[float]:
    """Scores of four users for three items after five epochs, on one thread."""
    torch.set_num_threads(1)
    scores = trained(name, toy_market().data, seed=11, **STEADY.get(name, {})).score(USERS)
    return [round(score, 6) for score in scores[:, ITEMS].flatten().tolist()]


def main() -> None:
    old = json.loads(FILE.read_text()) if FILE.exists() else {}
    new = {name: current(name) for name in sorted(MODELS.own)}
    for name, scores in new.items():
        change = max((abs(a - b) for a, b in zip(scores, old.get(name, []), strict=False)), default=None)
        print(f"{name}: {'new' if change is None else f'largest change {change:.6f}'}")
    FILE.write_text(json.dumps(new, indent=2) + "\n")


if __name__ == "__main__":
    main()
