"""The three tasks of one model: train, recommend, measure."""

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.metrics.registry import metric_roots
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.registry import MODELS, family_of
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
from mrs_pipeline.stages.train import show_training, train_model
from mrs_pipeline.stored.item_facts import facts_inputs
from mrs_pipeline.stored.training_data import filling_of, joining_of, seeds_of, sources_of
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.task import Task


def model_tasks(config: DatasetConfig, name: str, settings: ModelConfig) -> list[Task]:
    """Train, recommend and measure for one model; inputs, tags and group derive from its spec."""
    model = MODELS[name]
    spec = model.spec
    filling, joining = filling_of(config, spec), joining_of(config, spec)
    tags = tuple(sorted(cell.tag for cell in spec.cells))
    family = family_of(name)
    uses = (model, *(MODELS[other] for other in settings.wrapped()))
    inputs = sources_of(config, spec)
    fitting = {
        "model": settings.model_dump(mode="json"),
        "training": deciding(config.training_of(name)),
        "seeds": list(seeds_of(config, name)),
        "select_on": config.evaluation.select_on,
        "missing rows": filling,
        **joining,
    }
    return [
        Task(
            outputs=(Node(Kind.TRAINED, name),),
            inputs=inputs,
            run=train_model,
            uses=(*uses, *metric_roots([config.evaluation.select_metric])),
            settings=fitting,
            show=show_training,
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
            outputs=(Node(Kind.RECOMMENDATIONS, name),),
            inputs=(Node(Kind.TRAINED, name), *inputs),
            run=recommend_items,
            uses=uses,
            settings={"missing rows": filling, **joining},
            description=f"The {LIST_LENGTH} best items of every user by {spec.title}, without what they already had.",
            kinds=("duckdb",),
            pool="gpu",
            check_specs=recommendation_specs(name),
            check=check_recommendations,
            group=family,
            tags=tags,
        ),
        Task(
            outputs=(Node(Kind.METRICS, name),),
            inputs=(Node(Kind.TRAINED, name), *dict.fromkeys([*inputs, *facts_inputs(config)])),
            run=measure_model,
            uses=(*uses, *metric_roots(config.evaluation.metrics)),
            settings={
                "evaluation": config.evaluation.model_dump(mode="json"),
                "missing rows": filling,
                **joining,
            },
            description=f"{spec.title} on the test rows: {', '.join(config.evaluation.metrics)}; all, warm and cold "
            "items.",
            kinds=("duckdb",),
            pool="gpu",
            check_specs=metrics_specs(name),
            check=check_metrics,
            group=family,
            tags=tags,
        ),
    ]
