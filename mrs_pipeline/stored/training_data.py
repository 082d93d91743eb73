"""What a model is given at one window, and by which rules it is judged.

How a model is fitted and ranked is `fitting`; the stages of one model are `stages.train`, `stages.final`,
`stages.recommend` and `stages.measure`. Test rows are read in two places, `stages.measure` and `stages.study`.
"""

from dataclasses import replace

import numpy as np

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.completion import complete
from mrs_pipeline.encoders.joining import join
from mrs_pipeline.evaluation.history import with_whole_history
from mrs_pipeline.functional.graphs import knn_graph
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind, FeatureUse, Needs
from mrs_pipeline.schema import ITEM, SPLIT, TRAIN, USER, VALID
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.stored.graphs import read_graph
from mrs_pipeline.stored.intact import intact_artifact, require_intact_table
from mrs_pipeline.stored.knowledge import read_knowledge
from mrs_pipeline.stored.raw_content import read_raw_content
from mrs_pipeline.stored.token_sets import read_tokens
from mrs_pipeline.stored.vectors import read_vectors
from mrs_pipeline.tasks.node import CORE_ITEMS, CORE_USERS, KNOWLEDGE_GRAPH, SPLITS, USER_GRAPH, Kind, Node
from mrs_pipeline.tasks.places import exists, is_directory, record
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.types import BoolArray, Interactions, RawContent, SparseGraph, TrainingData

_DIGITS = 16
"""Of a split's digest that rows of results carry."""


def training_data(stage: Stage, spec: Needs, *, whole: bool = False) -> TrainingData:
    """What a model or a pretraining may see at this window: no test row can be among it.

    Args:
        stage: dataset and window.
        spec: what is needed.
        whole: all of the history as training rows, none held out; what depends on training rows is made of all of
            them, but for item vectors of a pretraining, which stay as they are.
    """
    chosen = stage.config.model_features if spec.features is not FeatureUse.IGNORED else {}
    _require_intact(stage, spec, whole=whole)
    rows = TrainingData(interactions(stage, TRAIN), interactions(stage, VALID))
    rows = with_whole_history(rows) if whole else rows
    stored = {
        modality: join([read_features(stage, name) for name in sets]) for modality, sets in chosen.items()
    }
    features = complete(stored, stage.config.missing, rows.train)
    graphs: dict[str, SparseGraph] = {}
    if spec.item_graph:
        device = resolve_device(stage.config.training)
        graphs = {
            modality: read_graph(stage, sets[0])
            if stores_graphs(stage.config) and len(sets) == 1
            else knn_graph(features[modality], stage.config.item_graph_k, device=device)
            for modality, sets in chosen.items()
        }
    users = read_graph(stage, USER_GRAPH.name) if spec.user_graph and not whole else None
    vectors = read_vectors(stage, spec.pretraining) if spec.pretraining else {}
    knowledge = read_knowledge(stage) if spec.knowledge else None
    raw: dict[str, RawContent] = {}
    if spec.raw is not FeatureUse.IGNORED:
        raw = {modality: read_raw_content(stage, modality) for modality in stage.config.raw_modalities}
    attended = stage.config.model_tokens if spec.tokens is not FeatureUse.IGNORED else {}
    return replace(
        rows,
        features=features,
        item_graphs=graphs,
        user_graph=users,
        pretrained=vectors,
        knowledge=knowledge,
        raw=raw,
        tokens={modality: read_tokens(stage, name) for modality, name in attended.items()},
        candidates=_candidates(stage),
    )


def _candidates(stage: Stage) -> BoolArray | None:
    """[I] the items that tests rank; None for all."""
    with stage.lake.connect() as con:
        columns = con.execute(
            f'SELECT is_candidate FROM {stage.lake.scan(stage.table("core", "items"))} ORDER BY "{ITEM}"'
        ).fetchnumpy()
    candidates = np.asarray(columns["is_candidate"], dtype=np.bool_)
    return None if candidates.all() else candidates


def _require_intact(stage: Stage, spec: Needs, *, whole: bool) -> None:
    """Refuse damaged inputs before anything is trained on them."""
    for node in sources_of(stage.config, spec, whole=whole):
        if is_directory(node):
            intact_artifact(stage, node)
        else:
            require_intact_table(stage, node)


def stores_graphs(config: DatasetConfig) -> bool:
    """Whether the item graphs are assets; filled rows depend on interactions, so theirs are built where needed.

    So are those of feature sets that are put side by side.
    """
    return config.missing == "mask"


def single_sets(config: DatasetConfig) -> list[str]:
    """Names of the feature sets that models receive alone, each once."""
    return list(dict.fromkeys(sets[0] for sets in config.model_features.values() if len(sets) == 1))


def interactions(stage: Stage, split: str) -> Interactions:
    """The rows of one split, by dense number."""
    with stage.lake.connect() as con:
        scan = stage.lake.scan(stage.table("core", "splits"))
        columns = con.execute(
            f'SELECT "{USER}", "{ITEM}", epoch(timestamp)::BIGINT AS time FROM {scan} WHERE "{SPLIT}" = ? '
            f'ORDER BY "{USER}", time, "{ITEM}"',
            [split],
        ).fetchnumpy()
    times = np.ma.asarray(columns["time"])
    return Interactions(
        users=np.asarray(columns[USER], dtype=np.int64),
        items=np.asarray(columns[ITEM], dtype=np.int64),
        n_users=stage.lake.manifest(stage.table("core", "users")).rows,
        n_items=stage.lake.manifest(stage.table("core", "items")).rows,
        times=None if np.ma.is_masked(times) else np.asarray(times, dtype=np.int64),
    )


def split_digest(stage: Stage) -> str | None:
    """The `data_digest` of what is measured on the window's split as it is now; None where there is no split."""
    return record(stage, SPLITS)[0][:_DIGITS] if exists(stage, SPLITS) else None


def seeds_of(config: DatasetConfig, name: str) -> tuple[int, ...]:
    """The seeds a model is trained with: a closed form has one solution, whatever the seed."""
    solved = MODELS[name].spec.batches is BatchKind.NONE
    return config.seeds[:1] if solved else config.seeds


def refitted_seeds(config: DatasetConfig, name: str) -> tuple[int, ...]:
    """The seeds a model is trained with again, on all of the history: the first is served, all are tested if asked."""
    seeds = seeds_of(config, name)
    if config.evaluation.refit:
        return seeds
    return seeds[:1] if config.serving.refit else ()


def protocol(config: DatasetConfig, *, refit: bool | None = None) -> str:
    """The rules behind a dataset's numbers; rows under other rules are never ranked beside them.

    Args:
        config: the dataset.
        refit: whether what is tested is trained on all of the history; what `evaluation` says if None.
    """
    refit = config.evaluation.refit if refit is None else refit
    trained = "; trained on train + valid, for the epochs that valid chose" if refit else ""
    excluded = config.evaluation.exclude.replace("_", " + ")
    candidates = (
        "the catalogue known at the window's start"
        if config.windowed
        else "items with an interaction that counts"
    )
    if config.windowed:
        held_out = config.split.held_out_users
        split = (
            f"walk-forward by {config.window.every}, validation the last {config.split.valid:.0%} of history"
            + (f", {held_out:.0%} of users held out whole" if held_out else "")
        )
    else:
        settings = config.split.model_dump(exclude_defaults=False)
        for name in ("cold_items", "held_out_users"):
            if not settings[name]:
                del settings[name]
        details = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "strategy")
        split = config.split.strategy + ("" if config.split.strategy == "given" else f" ({details})")
    return (
        f"full ranking of {candidates}, by slice; excluded: {excluded}; ties by lot; split: {split}{trained}"
    )


def sources_of(config: DatasetConfig, spec: Needs, *, whole: bool = False) -> tuple[Node, ...]:
    """All that `training_data` reads; of the `whole` history it is another graph of users."""
    uses_features = spec.features is not FeatureUse.IGNORED
    named = [name for sets in config.model_features.values() for name in sets] if uses_features else []
    chosen = list(dict.fromkeys(named))
    graphs = single_sets(config) if chosen and spec.item_graph and stores_graphs(config) else []
    raw = config.raw_modalities if spec.raw is not FeatureUse.IGNORED else ()
    attended = config.model_tokens.values() if spec.tokens is not FeatureUse.IGNORED else ()
    return (
        *(CORE_USERS, CORE_ITEMS, SPLITS),
        *(Node(Kind.FEATURES, each) for each in chosen),
        *(Node(Kind.GRAPHS, each) for each in graphs),
        *((USER_GRAPH,) if spec.user_graph and not whole else ()),
        *((KNOWLEDGE_GRAPH,) if spec.knowledge else ()),
        *((Node(Kind.PRETRAINED, spec.pretraining),) if spec.pretraining else ()),
        *(Node(Kind.RAW_CONTENT, modality) for modality in raw),
        *(Node(Kind.TOKENS, name) for name in attended),
    )


def filling_of(config: DatasetConfig, spec: Needs) -> dict[str, object]:
    """The settings by which `training_data` fills missing rows; empty where it fills none."""
    uses_features = bool(config.model_features) and spec.features is not FeatureUse.IGNORED
    if not uses_features or config.missing == "mask":
        return {}
    return {"missing": config.missing, "item_graph_k": config.item_graph_k}


def joining_of(config: DatasetConfig, spec: Needs) -> dict[str, object]:
    """The settings by which `training_data` makes modalities of feature sets; empty where each has its first one."""
    if not config.modalities or spec.features is FeatureUse.IGNORED:
        return {}
    joined = spec.item_graph and any(len(sets) > 1 for sets in config.modalities.values())
    return {
        "modalities": {modality: list(sets) for modality, sets in sorted(config.modalities.items())},
        **({"item_graph_k": config.item_graph_k} if joined else {}),
    }
