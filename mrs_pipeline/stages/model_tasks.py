"""The three tasks of one model: train, recommend, measure."""

import json

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.models.base import ModelConfig
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.stages.checks.models import (
    check_metrics,
    check_recommendations,
    check_trained,
    metrics_specs,
    recommendation_specs,
    trained_specs,
)
from mrs_pipeline.stages.measure import measure_model
from mrs_pipeline.stages.recommend import LIST_LENGTH, recommend_items
from mrs_pipeline.stages.train import train_model
from mrs_pipeline.stored.training_data import SHARED_CODE, filling_of, seeds_of, sources_of
from mrs_pipeline.tasks.task import Task


def model_tasks(config: DatasetConfig, name: str, settings: ModelConfig) -> list[Task]:
    """Train, recommend and measure for one model; inputs, tags and group derive from its spec."""
    model = MODELS[name]
    spec = model.spec
    filling = filling_of(config, spec)
    code = (
        model.__module__.removeprefix("mrs_pipeline."),
        *SHARED_CODE,
        "fitting",
        *spec.code,
        *(("encoders.missing", "encoders.completion") if filling else ()),
    )
    tags = tuple(sorted(cell.tag for cell in spec.cells))
    family = model.__module__.split(".")[2]
    inputs = sources_of(config, spec)
    fitting = [
        settings.model_dump(mode="json"),
        config.training_of(name).model_dump(mode="json"),
        seeds_of(config, name),
        config.evaluation.select_on,
        filling,
    ]
    return [
        Task(
            name=f"trained/{name}",
            outputs=(f"trained/{name}",),
            inputs=inputs,
            run=train_model,
            code=(*code, "training", "evaluation"),
            settings=json.dumps(fitting, sort_keys=True),
            description=f"{spec.title} ({spec.paper}), trained once a seed; epochs chosen on validation. {spec.url}",
            kinds=("pytorch",),
            pool="gpu",
            check_specs=trained_specs(name),
            check=check_trained,
            keep=True,
            group=family,
            tags=tags,
        ),
        Task(
            name=f"recommendations/{name}",
            outputs=(f"recommendations/{name}",),
            inputs=(f"trained/{name}", *inputs),
            run=recommend_items,
            code=(*code, "evaluation"),
            settings=json.dumps(filling, sort_keys=True),
            description=f"The {LIST_LENGTH} best items of every user by {spec.title}, without what they already had.",
            kinds=("duckdb",),
            pool="gpu",
            check_specs=recommendation_specs(name),
            check=check_recommendations,
            group=family,
            tags=tags,
        ),
        Task(
            name=f"metrics/{name}",
            outputs=(f"metrics/{name}",),
            inputs=(f"trained/{name}", *inputs),
            run=measure_model,
            code=(*code, "evaluation"),
            settings=json.dumps([config.evaluation.model_dump(mode="json"), filling], sort_keys=True),
            description=f"{spec.title} on the test rows: recall, ndcg and more; all, warm and cold items.",
            kinds=("duckdb",),
            pool="gpu",
            check_specs=metrics_specs(name),
            check=check_metrics,
            group=family,
            tags=tags,
        ),
    ]
