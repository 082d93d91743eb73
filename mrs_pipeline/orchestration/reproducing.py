"""Making a recorded model again, from raw files to its metrics, in a temporary home, and comparing the two.

Without Dagster: the tasks of the plan are done in their order, each at the windows that it needs, and nothing that is
stored is read. What the model was recorded with is compared by digests; metrics by value, since they hold seconds.
"""

from collections.abc import Sequence
from pathlib import Path

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.locating import is_remote, source_folder
from mrs_pipeline.ingest.options import FileSourceOptions
from mrs_pipeline.plan import plan
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.tasks.comparing import Reproduced, compared
from mrs_pipeline.tasks.currency import provenance_of
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, Kind, Node
from mrs_pipeline.tasks.places import exists, expand, node_of, record, window_before
from mrs_pipeline.tasks.standing import standing
from mrs_pipeline.tasks.task import Stage, Task
from mrs_pipeline.tasks.tracing import require_records


def recorded_models(lake: Lake, dataset: str, run: str) -> list[tuple[str, str]]:
    """(model, window) of what a run trained, by the first digits of its id."""
    require_records(lake, dataset)
    with lake.connect() as con:
        rows = con.execute(
            f'SELECT DISTINCT asset, "window" FROM {lake.scan_all("lineage", "materializations", dataset=dataset)} '
            "WHERE starts_with(run, ?) AND starts_with(asset, ?) ORDER BY ALL",
            [run, f"{Kind.TRAINED}/"],
        ).fetchall()
    return [(Node.parse(asset).name, window) for asset, window in rows]


def changed_since(stage: Stage, model: str) -> tuple[str, ...]:
    """Why the recorded model is not what would be made now, in words; empty where it is.

    Raises:
        InputError: the model has not been trained at the window.
    """
    task = next(task for task in plan(stage.config) if Node(Kind.TRAINED, model) in task.outputs)
    if not exists(stage, task.outputs[0]):
        raise InputError(
            f"{model} has not been trained for window {stage.window} of {stage.config.name}: run "
            f"`mrs run {stage.config.name} --window {stage.window} --models {model}` first."
        )
    makers = {output: each for each in plan(stage.config) for output in each.outputs}
    found: dict[str, Task] = {}
    waiting = [task]
    while waiting:
        each = waiting.pop()
        if each.name not in found:
            found[each.name] = each
            waiting += [makers[node] for node in each.inputs]
    return tuple(dict.fromkeys(reason for each in found.values() for reason in standing(stage, each).reasons))


def reproduce(stage: Stage, model: str, folder: Path) -> list[Reproduced]:
    """Make a model again and compare all that leads to it, in the order of the pipeline.

    Args:
        stage: the dataset, the home with the recorded results, and the window.
        model: which of the dataset's models.
        folder: an empty folder for the home in which it is made again. It grows as large as what it is compared with.
    """
    again = Stage(_elsewhere(stage.config, stage.home.root), Home(folder), stage.window)
    pretrained = stage.home.models / "pretrained"
    if pretrained.is_dir():  # weights of encoders are given, not made
        again.home.models.mkdir(parents=True)
        (again.home.models / "pretrained").symlink_to(pretrained.resolve())
    outcomes: list[Reproduced] = []
    chain = _chain(stage, model)
    for task in _needed(stage.config, model):
        for place in _places(again, task, chain):
            task.run(place, task, provenance_of(place, task))
            original = stage.at(place.window)
            outcomes += [compared(original, place, node_of(place, output)) for output in task.outputs]
    return outcomes


def _needed(config: DatasetConfig, model: str) -> list[Task]:
    """The tasks that a model's training and metrics rest on, in the order of the plan."""
    tasks = plan(config)
    wanted = {Node(Kind.TRAINED, model), Node(Kind.METRICS, model)}
    chosen: list[Task] = []
    for task in reversed(tasks):
        if wanted & set(task.outputs):
            chosen.append(task)
            wanted |= set(task.inputs)
    return chosen[::-1]


def _chain(stage: Stage, model: str) -> list[str]:
    """The windows that a model's trainings went on from one after another, and at last the stage's own."""
    node, chain = Node(Kind.TRAINED, model), [stage.window]
    while True:
        before = window_before(stage.at(chain[0]))
        made = record(stage.at(chain[0]), node)[1] if exists(stage.at(chain[0]), node) else None
        if before is None or made is None or str(node.at(before.window)) not in made.upstream:
            return chain
        chain.insert(0, before.window)


def _places(stage: Stage, task: Task, chain: Sequence[str]) -> Sequence[Stage]:
    """The windows at which a task is done: raw interactions at all up to the stage's own."""
    if not task.windowed:
        return [Stage(stage.config, stage.home)]
    if RAW_INTERACTIONS not in task.outputs:
        return [stage.at(window) for window in chain]
    reader = next(each for each in plan(stage.config) if RAW_INTERACTIONS in each.inputs)
    return [stage.at(str(node.window)) for node in expand(stage, reader, RAW_INTERACTIONS)]


def _elsewhere(config: DatasetConfig, root: Path) -> DatasetConfig:
    """The same settings for another home: a source below the old one is named in full."""
    source = config.source
    if not isinstance(source, FileSourceOptions) or is_remote(source.place):
        return config
    full = source.model_copy(update={"path": str(source_folder(source.path, root))})
    return config.model_copy(update={"source": full})
