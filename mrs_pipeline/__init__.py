"""mrs_pipeline: multimodal recommender systems as a Dagster pipeline."""

import os

__version__ = "0.1.0"

# Read once, when torch loads its threads. Left alone, a thread that waits for its sibling spins for so long that two
# processes on the same cores slow each other thirtyfold; see docs/decisions/0005.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
