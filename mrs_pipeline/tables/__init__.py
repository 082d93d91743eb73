"""What the tables are: one file a table with its columns, the SQL that builds it, and what must hold of it.

Belongs here: schemas, column lineage, core SQL, expectations. Where tables are kept is `storage`; who runs
what, and whether a failed expectation stops a run, is `orchestration`. Nothing here needs more than a DuckDB
connection.
"""

from collections.abc import Mapping
from typing import Final

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.drift import DRIFT_TABLE
from mrs_pipeline.tables.experiment_arms import EXPERIMENT_ARMS
from mrs_pipeline.tables.experiment_users import EXPERIMENT_USERS
from mrs_pipeline.tables.experiments import EXPERIMENTS_TABLE
from mrs_pipeline.tables.feature_sets import FEATURE_SETS
from mrs_pipeline.tables.features_table import FEATURES_TABLE
from mrs_pipeline.tables.history import HISTORY_TABLE
from mrs_pipeline.tables.interactions import INTERACTIONS
from mrs_pipeline.tables.items import ITEMS
from mrs_pipeline.tables.knowledge import KNOWLEDGE
from mrs_pipeline.tables.leaderboard import LEADERBOARD_TABLE
from mrs_pipeline.tables.lineage import CHECKS_TABLE, COLUMNS, EDGES, MATERIALIZATIONS
from mrs_pipeline.tables.metrics import METRICS_TABLE
from mrs_pipeline.tables.promotions import PROMOTION_RULES, PROMOTIONS
from mrs_pipeline.tables.quarantine import QUARANTINE_TABLE
from mrs_pipeline.tables.raw_interactions import RAW_INTERACTIONS_TABLE
from mrs_pipeline.tables.raw_items import RAW_ITEMS_TABLE
from mrs_pipeline.tables.recommendations import RECOMMENDATIONS
from mrs_pipeline.tables.runs import RUNS_TABLE
from mrs_pipeline.tables.splits_table import SPLITS_TABLE
from mrs_pipeline.tables.user_metrics import USER_METRICS_TABLE
from mrs_pipeline.tables.users import USERS
from mrs_pipeline.tables.vectors_table import VECTORS_TABLE

TABLES: Final[Mapping[str, TableSchema]] = {
    table.path: table
    for table in (
        RAW_INTERACTIONS_TABLE,
        RAW_ITEMS_TABLE,
        USERS,
        ITEMS,
        INTERACTIONS,
        QUARANTINE_TABLE,
        SPLITS_TABLE,
        KNOWLEDGE,
        FEATURES_TABLE,
        FEATURE_SETS,
        DRIFT_TABLE,
        RUNS_TABLE,
        HISTORY_TABLE,
        VECTORS_TABLE,
        RECOMMENDATIONS,
        PROMOTIONS,
        PROMOTION_RULES,
        USER_METRICS_TABLE,
        METRICS_TABLE,
        LEADERBOARD_TABLE,
        EXPERIMENTS_TABLE,
        EXPERIMENT_ARMS,
        EXPERIMENT_USERS,
        MATERIALIZATIONS,
        EDGES,
        COLUMNS,
        CHECKS_TABLE,
    )
}
"""Every table by its path `schema/name`; the feature sets share one schema under `features`."""
