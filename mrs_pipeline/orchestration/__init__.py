"""All of Dagster: the component, assets and checks made from tasks, automation, runs from the command line.

Thin by rule: what a stage does is in `stages`, what a table means in `tables`.
"""

import warnings

import dagster as dg

# Check partitions and the mapping to all earlier windows are marked preview and beta; a test pins what we use of them.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
# Raw files are read in one run for a whole range of windows, the rest in one run a window; that is meant.
warnings.filterwarnings("ignore", message="Asset job .* materializes assets with varying BackfillPolicies")

from mrs_pipeline.orchestration.component import Dataset  # noqa: E402 - definitions are built on import

__all__ = ["Dataset"]
