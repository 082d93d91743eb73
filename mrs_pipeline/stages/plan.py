"""A dataset's whole pipeline as a list of tasks, in an order in which they can run."""

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.stages.base import Task
from mrs_pipeline.stages.core import core_tasks
from mrs_pipeline.stages.feature_quality import quality_task
from mrs_pipeline.stages.features import feature_task, graph_task
from mrs_pipeline.stages.ingest import ingest_tasks
from mrs_pipeline.stages.models import model_tasks, stores_graphs
from mrs_pipeline.stages.raw_content import raw_content_task
from mrs_pipeline.stages.report import report_tasks


def plan(config: DatasetConfig) -> list[Task]:
    """From raw files to report; graphs only of the feature sets that a listed model needs them of."""
    models = config.model_configs
    wanted = stores_graphs(config) and any(MODELS[name].spec.item_graph for name in models)
    graphs = config.model_features.values() if wanted else ()
    return [
        *ingest_tasks(config),
        *core_tasks(config),
        *(feature_task(config, name) for name in config.feature_names),
        *(quality_task(config, name) for name in config.feature_names),
        *(graph_task(config, name) for name in graphs),
        *(raw_content_task(config, modality) for modality in config.raw_modalities),
        *(task for name, settings in models.items() for task in model_tasks(config, name, settings)),
        *(report_tasks(config) if models else ()),
    ]
