"""Leaderboard and report of a dataset: every measured window and model, handed from the lake to `reporting`.

Figures, tables and words are `reporting`'s; here is only where their inputs come from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from filelock import FileLock

from mrs_pipeline import __version__
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.metrics.base import parse_label
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind, FeatureUse
from mrs_pipeline.reporting.html import report as render
from mrs_pipeline.reporting.inputs import DataStatistics, ModelCost, ReportInputs
from mrs_pipeline.reporting.leaderboard import POPULARITY_MODEL, leaderboard
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.stages.checks.results import LEADERBOARD_SPECS, check_leaderboard
from mrs_pipeline.stages.report_examples import Shown, gallery, sample_users
from mrs_pipeline.stages.report_links import links_of_report, write_index_page
from mrs_pipeline.storage.pages import write_page
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.features import PACE, read_features, summary_of
from mrs_pipeline.stored.trained import long_history
from mrs_pipeline.stored.training_data import split_digest
from mrs_pipeline.tasks.lineage import git_commit
from mrs_pipeline.tasks.node import LEADERBOARD, REPORT, Kind, Node
from mrs_pipeline.tasks.places import exists, page_of, store_of, table_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task


def leaderboard_frame(stage: Stage) -> pl.DataFrame:
    """One row a protocol, window and model of the dataset, best first; see `reporting.leaderboard`."""
    return leaderboard(measured(stage), _runs(stage), UserMetrics(stage), popularity=POPULARITY_MODEL)


def make_leaderboard(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Rank what has been measured so far, windows apart."""
    with _alone(stage):
        frame = leaderboard_frame(stage).drop("dataset")
        manifest = stage.lake.write_frame(table_of(stage, LEADERBOARD), frame, provenance)
    shown = [
        name
        for name in ("window", "rank", "model", "recall@20", "ndcg@20", "seconds")
        if name in frame.columns
    ]
    return [Outcome(LEADERBOARD, manifest.digest, {"leaderboard": frame.select(shown)}, manifest.columns)]


def make_report(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Write `data/reports/<dataset>/report.html`, one self-contained file."""
    path = page_of(stage, REPORT)
    with _alone(stage):
        page = render(report_inputs(stage))
        digest = write_page(path, page, provenance)
    write_index_page(stage.home)
    return [Outcome(REPORT, digest, {"report": path, "size kB": round(len(page.encode()) / 1000)})]


def _alone(stage: Stage) -> FileLock:
    """Windows finish in many processes at once; whoever reads all results last also writes last, so none is lost."""
    return FileLock(stage.home.data / f".{stage.config.name}.lock")


def report_inputs(stage: Stage) -> ReportInputs:
    """What the report of a dataset shows, read from what is stored."""
    board = stage.lake.read(table_of(stage, LEADERBOARD)).with_columns(
        pl.lit(stage.config.name).alias("dataset")
    )
    latest = _latest(stage, board)
    ranked = board.filter(pl.col("rank").is_not_null() & (pl.col("window") == latest.window)).sort("rank")
    shown = Shown.of(latest, ranked, POPULARITY_MODEL)
    samples = sample_users(latest, shown)
    return ReportInputs(
        title=f"{stage.config.name}: which recommender works here",
        generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        metrics=measured(stage),
        runs=_runs(stage),
        history=_history(stage),
        checks=_checks(latest),
        data=(_statistics(latest),),
        samples=samples,
        gallery=gallery(latest, shown, samples),
        costs=_costs(latest),
        links=links_of_report(stage.home, stage.config.name),
        board=board,
        provenance={
            "git commit": git_commit(stage.home.root) or "not in a repository",
            "mrs_pipeline": __version__,
            "source": stage.config.source.place,
            **{
                name: latest.lake.manifest(latest.table("core", name)).digest[:16]
                for name in ("interactions", "items", "splits")
            },
        },
        popularity_model=POPULARITY_MODEL,
    )


def measured(stage: Stage) -> pl.DataFrame:
    """All metrics, those marked that were measured on other data than their window's split of today."""
    metrics = _all(stage, "eval", "metrics")
    if metrics.is_empty() and not stage.config.windowed:
        raise InputError(
            f"nothing of {stage.config.name} can be ranked: no user has a test row with an item that is new to that "
            "user; put more users and items into its files."
        )
    if metrics.is_empty():
        raise InputError(
            f"no window of {stage.config.name} that was run has test rows yet, so there is nothing to rank: run "
            f"one that has closed (`mrs run {stage.config.name}` takes the last)."
        )
    today = {window: split_digest(stage.at(window)) for window in metrics["window"].unique()}
    split = pl.col("window").replace_strict(today, return_dtype=pl.String)
    return metrics.rename({"users": "n_users"}).with_columns(stale=pl.col("data_digest").ne_missing(split))


def _all(stage: Stage, schema: str, name: str, where: str = "true") -> pl.DataFrame:
    """All windows and models of a table that belong to the dataset and are still in its settings."""
    keys = {"dataset": stage.config.name}
    if not stage.lake.partitions(schema, name, **keys):
        return pl.DataFrame()
    models = ", ".join(f"'{model}'" for model in stage.config.model_configs)
    with stage.lake.connect() as con:
        scan = stage.lake.scan_all(schema, name, **keys)
        frame: pl.DataFrame = con.sql(f"SELECT * FROM {scan} WHERE model IN ({models}) AND {where}").pl()
    return frame


def _runs(stage: Stage) -> pl.DataFrame:
    evaluation = _all(stage, "eval", "metrics").select("window", "model", "seconds_evaluation").unique()
    runs = _all(stage, "models", "runs").rename({"parameters": "n_parameters", "best_score": "select_value"})
    config = stage.config
    facts = [
        (name, settings.model_dump_json(), config.trials_of(name), _solved(name))
        for name, settings in config.model_configs.items()
    ]
    schema = {"model": pl.String, "today": pl.String, "trials": pl.Int64, "solved": pl.Boolean}
    return (
        runs.join(evaluation, on=["window", "model"], how="left")
        .join(pl.DataFrame(facts, schema=schema, orient="row"), on="model", how="left")
        .with_columns(trials=pl.when(pl.col("config") == pl.col("today")).then("trials"))
        .drop("today")
    )


def _solved(model: str) -> bool:
    return MODELS[model].spec.batches is BatchKind.NONE


def _history(stage: Stage) -> pl.DataFrame:
    return long_history(_all(stage, "models", "history"))


@dataclass(frozen=True)
class UserMetrics:
    """What the leaderboard tests, wide: one frame a window and model, read when its turn comes, so that one is held."""

    stage: Stage
    window: str = "*"
    """Only this window; all of them by default."""

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """One row a seed and user, a column a metric: those compared, and the ranking one on warm and on cold items.

        On cold items at every cut-off: the leaderboard chooses among them.
        """
        lake, models = self.stage.lake, set(self.stage.config.model_configs)
        wanted = [(name, "all", name) for name in COMPARED]
        wanted.append((f"warm_{COMPARED[0]}", "warm", COMPARED[0]))
        cuts = [f"{parse_label(COMPARED[0])[0]}@{k}" for k in self.stage.config.evaluation.ks]
        wanted += [(f"cold_{label}", "cold", label) for label in cuts]
        columns = ", ".join(_column(*each) for each in wanted)
        for table in lake.partitions(
            "eval", "user_metrics", dataset=self.stage.config.name, window=self.window
        ):
            keys = dict(table.keys)
            if keys["model"] not in models:
                continue
            with lake.connect() as con:
                rows: pl.DataFrame = con.sql(
                    f'SELECT seed, "user", {columns} FROM {lake.scan(table)} GROUP BY ALL'
                ).pl()
            yield rows.select(*(pl.lit(value).alias(key) for key, value in keys.items()), pl.all())


def _column(name: str, part: str, label: str) -> str:
    metric, k = parse_label(label)
    return f"max(value) FILTER (slice = '{part}' AND metric = '{metric}' AND k = {k}) AS \"{name}\""


def _checks(stage: Stage) -> pl.DataFrame:
    with stage.lake.connect() as con:
        scan = stage.lake.scan_all("lineage", "checks", dataset=stage.config.name)
        wanted = f"\"window\" IN ('{stage.window}', '{FULL_WINDOW}')"
        frame: pl.DataFrame = con.sql(
            f"SELECT name, asset, severity, passed, description FROM {scan} WHERE {wanted} ORDER BY asset, name"
        ).pl()
    return frame


def _latest(stage: Stage, board: pl.DataFrame) -> Stage:
    """The last window whose leading model has its lists; a later one may still be in the making."""
    leaders = board.filter(pl.col("rank") == 1).sort("window", descending=True)
    for window, model in leaders.select("window", "model").iter_rows():
        if exists(stage.at(window), Node(Kind.RECOMMENDATIONS, model)):
            return stage.at(window)
    raise InputError(
        f"no leading model of {stage.config.name} has its lists yet: materialise recommendations."
    )


def _costs(stage: Stage) -> dict[str, ModelCost]:
    """What is kept of each model of a window, and how long the features take that it reads."""
    paces = {name: _extraction_seconds(stage, name) for name in stage.config.feature_names}
    used = [paces[name] for names in stage.config.model_features.values() for name in names]
    whole = sum(seconds for seconds in used if seconds is not None) if None not in used and used else None
    kind = Kind.FINAL if stage.config.serving.refit else Kind.TRAINED
    found = {}
    for name in stage.config.model_configs:
        node = Node(kind, name)
        if exists(stage, node):
            store, keys = store_of(stage, node)
            files = (path for path in store.read(*keys).directory.rglob("*") if path.is_file())
            reads = MODELS[name].spec.features is not FeatureUse.IGNORED
            found[name] = ModelCost(
                sum(path.stat().st_size for path in files) / 1e6, whole if reads else None
            )
    return found


def _extraction_seconds(stage: Stage, name: str) -> float | None:
    """Seconds to encode all items for a feature set, at the pace of its last extraction; None where it is not known."""
    keys = (stage.config.name, stage.window, name)
    if not stage.features.exists(*keys):
        return None
    pace = stage.features.read(*keys).facts.get(PACE)
    present = int(read_features(stage, name).present.sum())
    return present / float(pace) if isinstance(pace, int | float) and pace > 0 else None


def _statistics(stage: Stage) -> DataStatistics:
    table = {
        name: stage.lake.scan(stage.table("core", name))
        for name in ("interactions", "quarantine", "splits", "users", "items")
    }
    period = {"day": "day", "week": "week"}.get(stage.config.window.every, "month")
    with stage.lake.connect() as con:
        quarantine = con.sql(
            f"SELECT reason, count(*) AS rows FROM {table['quarantine']} GROUP BY reason ORDER BY rows DESC"
        ).pl()
        splits = con.sql(f"SELECT split, count(*) AS rows FROM {table['splits']} GROUP BY split").pl()
        over_time = con.sql(
            f"SELECT date_trunc('{period}', timestamp)::DATE AS period, split, count(*) AS rows FROM {table['splits']} "
            "WHERE timestamp IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).pl()
        items = (
            con.sql(f"SELECT count(*) AS n FROM {table['interactions']} GROUP BY item").pl()["n"].to_numpy()
        )
        users = (
            con.sql(f"SELECT count(*) AS n FROM {table['interactions']} GROUP BY user").pl()["n"].to_numpy()
        )
        kept, n_users, n_items = (
            con.sql(f"SELECT count(*) FROM {table[name]}").fetchall()[0][0]
            for name in ("interactions", "users", "items")
        )
    rejected = int(quarantine["rows"].sum())
    coverage, features = _feature_frames(stage)
    return DataStatistics(
        dataset=stage.config.name,
        window=stage.window,
        rows_read=kept + rejected,
        rows_kept=kept,
        n_users=n_users,
        n_items=n_items,
        quarantine=quarantine,
        splits=splits,
        over_time=over_time,
        item_counts=items.astype("int64"),
        user_counts=users.astype("int64"),
        coverage=coverage,
        features=features,
    )


def _feature_frames(stage: Stage) -> tuple[pl.DataFrame, pl.DataFrame]:
    coverage, features = [], []
    for name in stage.config.feature_names:
        if not stage.features.exists(stage.config.name, stage.window, name):
            continue
        summary = summary_of(stage, name)
        coverage.append(
            {"feature_set": name, "present": summary.present, "missing": summary.items - summary.present}
        )
        features.append(
            {
                "feature_set": name,
                "width": summary.dimensions,
                "effective_rank": summary.effective_rank,
                "mean_norm": summary.norm_mean,
                "duplicates": round(summary.duplicate_share * summary.present),
            }
        )
    return pl.DataFrame(coverage), pl.DataFrame(features)


def report_tasks(config: DatasetConfig) -> list[Task]:
    """Leaderboard and report over all windows."""
    metrics = tuple(Node(Kind.METRICS, name) for name in config.model_configs)
    lists = tuple(Node(Kind.RECOMMENDATIONS, name) for name in config.model_configs)
    return [
        Task(
            outputs=(LEADERBOARD,),
            inputs=metrics,
            run=make_leaderboard,
            settings={"trials": {name: config.trials_of(name) for name in sorted(config.model_configs)}},
            group="report",
            description="Models of all windows, with intervals and paired tests over users and seeds.",
            windowed=False,
            kinds=("duckdb",),
            check_specs=LEADERBOARD_SPECS,
            check=check_leaderboard,
        ),
        Task(
            outputs=(REPORT,),
            inputs=(LEADERBOARD, *lists),
            run=make_report,
            settings={"description": config.description},
            group="report",
            description="One self-contained HTML page: results, costs, curves, data, checks, sample lists.",
            windowed=False,
            kinds=("html",),
        ),
    ]
