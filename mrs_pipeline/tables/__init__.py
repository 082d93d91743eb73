"""What the tables are: one file a table with its columns, the SQL that builds it, and what must hold of it.

Belongs here: schemas, column lineage, core SQL, expectations. Where tables are kept is `storage`; who runs
what, and whether a failed expectation stops a run, is `orchestration`. Nothing here needs more than a DuckDB
connection.
"""

from collections.abc import Mapping
from typing import Final

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.experiment_arms import EXPERIMENT_ARMS
from mrs_pipeline.tables.experiment_users import EXPERIMENT_USERS
from mrs_pipeline.tables.experiments import EXPERIMENTS
from mrs_pipeline.tables.feature_sets import FEATURE_SETS
from mrs_pipeline.tables.features_table import FEATURES
from mrs_pipeline.tables.history import HISTORY
from mrs_pipeline.tables.interactions import INTERACTIONS
from mrs_pipeline.tables.items import ITEMS
from mrs_pipeline.tables.knowledge import KNOWLEDGE
from mrs_pipeline.tables.leaderboard import LEADERBOARD
from mrs_pipeline.tables.lineage import CHECKS, COLUMNS, EDGES, MATERIALIZATIONS
from mrs_pipeline.tables.metrics import METRICS
from mrs_pipeline.tables.quarantine import QUARANTINE
from mrs_pipeline.tables.raw_interactions import RAW_INTERACTIONS
from mrs_pipeline.tables.raw_items import RAW_ITEMS
from mrs_pipeline.tables.recommendations import RECOMMENDATIONS
from mrs_pipeline.tables.runs import RUNS
from mrs_pipeline.tables.splits_table import SPLITS_TABLE
from mrs_pipeline.tables.user_metrics import USER_METRICS
from mrs_pipeline.tables.users import USERS

TABLES: Final[Mapping[str, TableSchema]] = {
    table.path: table
    for table in (
        RAW_INTERACTIONS,
        RAW_ITEMS,
        USERS,
        ITEMS,
        INTERACTIONS,
        QUARANTINE,
        SPLITS_TABLE,
        KNOWLEDGE,
        FEATURES,
        FEATURE_SETS,
        RUNS,
        HISTORY,
        RECOMMENDATIONS,
        USER_METRICS,
        METRICS,
        LEADERBOARD,
        EXPERIMENTS,
        EXPERIMENT_ARMS,
        EXPERIMENT_USERS,
        MATERIALIZATIONS,
        EDGES,
        COLUMNS,
        CHECKS,
    )
}
"""Every table by its path `schema/name`; the feature sets share one schema under `features`."""
