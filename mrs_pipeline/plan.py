"""A dataset's whole pipeline as a list of tasks, in an order in which they can run."""

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import Needs
from mrs_pipeline.stages.core import core_tasks
from mrs_pipeline.stages.feature_quality import quality_task
from mrs_pipeline.stages.features import feature_task, graph_task
from mrs_pipeline.stages.ingest import ingest_tasks
from mrs_pipeline.stages.knowledge import knowledge_task
from mrs_pipeline.stages.model_tasks import model_tasks
from mrs_pipeline.stages.pretraining import pretraining_task
from mrs_pipeline.stages.raw_content import raw_content_task
from mrs_pipeline.stages.report import report_tasks
from mrs_pipeline.stages.study import experiment_tasks
from mrs_pipeline.stages.token_sets import token_task
from mrs_pipeline.stages.user_graph import user_graph_task
from mrs_pipeline.stored.training_data import single_sets, stores_graphs
from mrs_pipeline.tasks.task import Task


def plan(config: DatasetConfig) -> list[Task]:
    """From raw files to report; graphs only where a listed model or its pretraining needs them."""
    models, first_steps = config.model_configs, config.pretraining_configs
    asking: list[Needs] = [
        *(MODELS[name].spec for name in models),
        *(PRETRAINERS[name].spec for name in first_steps),
    ]
    wanted = stores_graphs(config) and any(spec.item_graph for spec in asking)
    graphs = single_sets(config) if wanted else ()
    needs_user_graph = any(spec.user_graph for spec in asking)
    return [
        *ingest_tasks(config),
        *core_tasks(config),
        *(feature_task(config, name) for name in config.feature_names),
        *(quality_task(config, name) for name in config.feature_names),
        *(graph_task(config, name) for name in graphs),
        *([user_graph_task(config)] if needs_user_graph else ()),
        *(pretraining_task(config, name, settings) for name, settings in first_steps.items()),
        *([knowledge_task(config)] if config.knowledge else ()),
        *(raw_content_task(config, modality) for modality in config.raw_modalities),
        *(token_task(config, name) for name in config.token_names),
        *(task for name, settings in models.items() for task in model_tasks(config, name, settings)),
        *(report_tasks(config) if models else ()),
    ]


def on_request(config: DatasetConfig) -> list[Task]:
    """What is made from the pipeline's results only when somebody asks for it by name: the experiments."""
    return list(experiment_tasks(config))
