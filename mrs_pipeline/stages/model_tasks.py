"""The tasks of one model: train, train again on all of the history, vectors and index, recommend, measure."""

from typing import Final

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.metrics.registry import metric_roots
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.registry import MODELS, family_of
from mrs_pipeline.stages.checks.models import (
    check_final,
    check_metrics,
    check_recommendations,
    check_trained,
    final_specs,
    metrics_specs,
    recommendation_specs,
    trained_specs,
)
from mrs_pipeline.stages.final import refit_model
from mrs_pipeline.stages.measure import measure_model
from mrs_pipeline.stages.model_vectors import vector_tasks
from mrs_pipeline.stages.recommend import LIST_LENGTH, recommend_items
from mrs_pipeline.stages.train import show_training, train_model
from mrs_pipeline.stored.item_facts import facts_inputs
from mrs_pipeline.stored.training_data import (
    filling_of,
    joining_of,
    refitted_seeds,
    seeds_of,
    sources_of,
)
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.task import Task
from mrs_pipeline.training.warm_start import why_never

_HOW_LONG: Final = ("epochs", "patience", "eval_every")
"""Settings of training that decide how many epochs are run."""


def goes_on(config: DatasetConfig, name: str) -> bool:
    """Whether a window's training of a model may begin from that of the window before."""
    return config.windowed and config.training_of(name).warm_start and why_never(MODELS[name].spec) is None


def model_tasks(config: DatasetConfig, name: str, settings: ModelConfig) -> list[Task]:
    """Train, refit, recommend and measure for one model; inputs, tags and group derive from its spec."""
    model = MODELS[name]
    spec = model.spec
    given = {"missing rows": filling_of(config, spec), **joining_of(config, spec)}
    tags = tuple(sorted(cell.tag for cell in spec.cells))
    family = family_of(name)
    uses = (model, *(MODELS[other] for other in settings.wrapped()))
    inputs, whole = sources_of(config, spec), sources_of(config, spec, whole=True)
    trained, final = Node(Kind.TRAINED, name), Node(Kind.FINAL, name)
    options = deciding(config.training_of(name))
    again = refitted_seeds(config, name)
    warm = trained if goes_on(config, name) else None
    served, tested = config.serving.refit, config.evaluation.refit
    refit = Task(
        outputs=(final,),
        inputs=(trained, *whole),
        goes_on_from=warm,
        run=refit_model,
        uses=uses,
        settings={
            "model": settings.model_dump(mode="json"),
            # how long is in the trained model, which is an input
            "training": {key: value for key, value in options.items() if key not in _HOW_LONG},
            "seeds": list(again),
            **given,
        },
        description=f"{spec.title} trained on train and validation rows, for the epochs that validation chose.",
        kinds=("pytorch",),
        pool="gpu",
        check_specs=final_specs(name),
        check=check_final,
        keep=True,
        group=family,
        tags=tags,
    )
    return [
        Task(
            outputs=(trained,),
            inputs=inputs,
            goes_on_from=warm,
            run=train_model,
            uses=(*uses, *metric_roots([config.evaluation.select_metric])),
            settings={
                "model": settings.model_dump(mode="json"),
                "training": options,
                "seeds": list(seeds_of(config, name)),
                "select_on": config.evaluation.select_on,
                **given,
            },
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
        *((refit,) if again else ()),
        *vector_tasks(config, name, settings),
        Task(
            outputs=(Node(Kind.RECOMMENDATIONS, name),),
            inputs=(final, *whole) if served else (trained, *inputs),
            run=recommend_items,
            uses=uses,
            settings={"refit": served, "seed": seeds_of(config, name)[0], **given},
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
            inputs=tuple(
                dict.fromkeys([*((final, *whole) if tested else (trained, *inputs)), *facts_inputs(config)])
            ),
            run=measure_model,
            uses=(*uses, *metric_roots(config.evaluation.metrics)),
            settings={
                "evaluation": config.evaluation.model_dump(mode="json"),
                **given,
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
