"""`mrs bench`: accuracy of the models on the benchmark packs; seconds and memory of all other stages."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrs_pipeline.cli.terminal import (
    AsJson,
    Commands,
    ModelNames,
    chosen_models,
    enter_home,
    err,
    out,
    show,
    show_steps,
)

if TYPE_CHECKING:
    from mrs_pipeline.bench.models import Benchmark
    from mrs_pipeline.orchestration.project import Project
    from mrs_pipeline.tasks.task import Stage

bench = Commands(
    help="Measure speed and memory; a table is printed, nothing is asserted.", no_args_is_help=True
)


@bench.command("models")
def bench_models(
    datasets: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATASET", help="Benchmarks to run; all of them if none is named."),
    ] = None,
    *,
    into: Annotated[
        Path | None, typer.Option(help="Folder of the page and its CSV files. Default: data/reports.")
    ] = None,
    experiments: Annotated[
        bool, typer.Option("--experiments/--no-experiments", help="Also run the benchmarks' experiments.")
    ] = True,
    run: Annotated[
        bool, typer.Option("--run/--no-run", help="Train what is not current; else only write what there is.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Train the models on the benchmark packs and write benchmarks.md; goes on where it was interrupted."""
    from mrs_pipeline.bench.models import chosen_benchmarks, collect, write_benchmark_page
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.tasks.task import Stage

    chosen = chosen_benchmarks(datasets or [])
    into = into.resolve() if into else None
    home = enter_home()
    project = load_project(home)
    folder = into or home.reports
    show_steps()
    for each in chosen:
        stage = Stage(project.config(each.dataset), home, each.window)
        try:
            for line in _due(project, stage, each, folder, experiments=experiments) if run else ():
                err.print(line, markup=False)
        finally:  # what has been trained is kept, also where something else failed
            collect(stage, each, folder)
    page = write_benchmark_page(folder, home.reports)
    show({"page": page}, lambda: f"page      {page}", as_json=as_json)


def _due(
    project: "Project", stage: "Stage", benchmark: "Benchmark", folder: Path, *, experiments: bool
) -> Iterator[str]:
    """Run what no kept result answers yet; a line before each Dagster run."""
    from mrs_pipeline.bench.models import due_experiments, due_models
    from mrs_pipeline.orchestration.launch import run_dataset, run_on_request
    from mrs_pipeline.tasks.node import Kind, Node

    name, window = benchmark.dataset, benchmark.window
    yield from run_dataset(project, name, [window], [], force=False)  # tables, by which one knows what is due
    models = due_models(stage, folder)
    yield f"{name}: {len(models)} of {len(stage.config.model_configs)} models are due"
    if models:
        yield from run_dataset(project, name, [window], models, force=False)
    for asked in due_experiments(stage, benchmark, folder) if experiments else ():
        yield from run_on_request(project, name, Node(Kind.EXPERIMENTS, asked), window, force=False)


@bench.command("train")
def bench_training(
    *,
    models: ModelNames = None,
    epochs: Annotated[int, typer.Option(min=1, help="Timed epochs a model; the median counts.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Time training and evaluation on tiktok and baby, beside a measured peer; the machine should be idle."""
    import polars as pl

    from mrs_pipeline.bench.tables import keep_rows
    from mrs_pipeline.bench.train_datasets import DATASETS, PEER, bench_dataset, check_models
    from mrs_pipeline.cli.tables import bench_table
    from mrs_pipeline.orchestration.launch import run_dataset
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.schema import DATASET, FULL_WINDOW, MODEL
    from mrs_pipeline.tasks.task import Stage

    chosen = chosen_models(models)
    home = enter_home()
    project = load_project(home)
    configs = [project.config(dataset) for dataset in DATASETS]
    check_models(configs, chosen)
    show_steps()
    path = home.reports / "bench_train.csv"
    rows: list[dict[str, Any]] = []
    for config in configs:
        for line in run_dataset(project, config.name, [FULL_WINDOW], [], force=False):
            err.print(line, markup=False)
        for row in bench_dataset(Stage(config, home), chosen, epochs=epochs):
            rows.append(row)
            keep_rows(path, pl.DataFrame([row]), [DATASET, MODEL])  # kept also where a later model fails
    table = pl.DataFrame(rows, infer_schema_length=None)
    show(table, lambda: bench_table(table, f"two threads, batch 2048; peer: {PEER}"), as_json=as_json)
    err.print(f"wrote {path}", soft_wrap=True, markup=False)


@bench.command("extract")
def extract_command(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Whose texts and pictures to encode.")
    ] = "demo",
    *,
    items: Annotated[int, typer.Option(min=1, help="Rows of the large catalogue for peak memory.")] = 10_000,
    text_model: Annotated[
        Path | None, typer.Option(help="Folder of a text model. Default: random weights.")
    ] = None,
    image_model: Annotated[
        Path | None, typer.Option(help="Folder of an image model. Default: random weights.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time feature extraction against the bare forward pass, and encoders by precision; the machine should be idle."""
    from mrs_pipeline.bench import extract_datasets as bench_extract
    from mrs_pipeline.bench.tables import write_table
    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.orchestration.launch import default_windows
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.tasks.task import Stage

    text_model, image_model = (model and model.resolve() for model in (text_model, image_model))
    home = enter_home()
    project = load_project(home)
    stage = Stage(project.config(dataset), home, default_windows(project, dataset)[-1])
    if not (text_model and image_model):
        err.print(
            "where no model is given, one of the shape of MiniLM-L6 or ViT-S with random weights is measured",
            markup=False,
        )
    table = bench_extract.bench_extraction(
        stage, text_model=text_model, image_model=image_model, n_items=items
    )
    path = home.reports / "bench_extract.csv"
    write_table(table, path)
    show(table, lambda: frame_table(table, f"extraction, items of {dataset}"), as_json=as_json)
    err.print(f"wrote {path}", soft_wrap=True, markup=False)


@bench.command("ingest")
def bench_ingestion(
    *,
    rows: Annotated[int, typer.Option(min=1000, help="Interactions of the made-up log.")] = 2_000_000,
    windows: Annotated[int, typer.Option(min=4, help="Months that they are spread over.")] = 24,
    users: Annotated[int | None, typer.Option(min=20, help="Default: one for 20 interactions.")] = None,
    items: Annotated[int | None, typer.Option(min=20, help="Default: one for 100 interactions.")] = None,
    last: Annotated[
        int | None,
        typer.Option(
            min=1, help="Build core tables and splits of the last windows only, which are the largest."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where log and tables are kept meanwhile. Default: temporary files.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time `mrs init`, reading, core tables and splits of a large log, with their checks; memory and disk by stage."""
    from mrs_pipeline.bench.event_log import LogSize
    from mrs_pipeline.bench.ingest import bench_ingest
    from mrs_pipeline.bench.tables import write_table
    from mrs_pipeline.cli.tables import frame_table

    folder = folder.resolve() if folder else None
    home = enter_home()
    size = LogSize(rows, users or max(20, rows // 20), items or max(20, rows // 100), windows)
    table = bench_ingest(size, folder, last)
    path = home.reports / "bench_ingest.csv"
    write_table(table, path)
    show(table, lambda: frame_table(table, f"{rows:,} interactions over {windows} months"), as_json=as_json)
    err.print(f"wrote {path}", soft_wrap=True, markup=False)


@bench.command("gpu")
def gpu_command(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, help="After these nothing new is begun.")] = 5.0,
    device: Annotated[str, typer.Option(help="cuda, cuda:1 ...; cpu tries the script out.")] = "auto",
    into: Annotated[
        Path | None,
        typer.Option(help="CSV file that rows are added to. Default: data/reports/bench_gpu.csv."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every model on a GPU against the CPU; time training, ranking, extraction beside the hardware's limits."""
    from mrs_pipeline.bench.gpu import run_on_device

    path = into.resolve() if into else enter_home().reports / "bench_gpu.csv"
    failed = run_on_device(device, minutes, path)
    show({"wrote": path, "failed": failed}, lambda: f"wrote {path}", as_json=as_json)
    if failed:
        err.print(f"{failed} checks failed", markup=False)
        raise typer.Exit(1)


@bench.command("serve")
def bench_serve(
    *,
    items: Annotated[int, typer.Option(min=100, help="Items of the made-up catalogue.")] = 100_000,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 200.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 30.0,
    swaps: Annotated[int, typer.Option(min=0, help="Models that take each other's place meanwhile.")] = 20,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compute all inner products, without an index.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put an open loop of requests to a service of a made-up catalogue; latencies and errors are printed."""
    from mrs_pipeline.bench.serving import Load, conditions, run_load
    from mrs_pipeline.cli.tables import frame_table

    load = Load(items=items, rate=rate, seconds=seconds, swaps=swaps, exact=exact)
    found = run_load(load)
    facts = {"errors": found.errors, "swaps": found.swaps, "recall of the index": found.recall}
    if as_json:
        show({"latencies": found.rows(), **facts}, str, as_json=True)
        return
    out.print(frame_table(found.rows(), conditions(load)))
    out.print(", ".join(f"{name} {value}" for name, value in facts.items()), markup=False)


@bench.command("limit")
def bench_limit(
    *,
    models: ModelNames = None,
    users: Annotated[int, typer.Option(min=100, help="Users of the made-up market.")] = 20_000,
    items: Annotated[int, typer.Option(min=100, help="Items of it.")] = 10_000,
    per_user: Annotated[int, typer.Option(min=2, help="Interactions of a user.")] = 15,
    doublings: Annotated[
        int, typer.Option(min=0, max=8, help="How often each size is doubled, for the growth; 0 for none.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Time a training step beside what memory and arithmetic of this machine allow; growth as sizes double."""
    from mrs_pipeline.bench.limit import MODELS_OF_LIMIT, growth, growth_plot, shares
    from mrs_pipeline.bench.tables import write_table
    from mrs_pipeline.cli.tables import frame_table

    home = enter_home()
    tables = {"limit": shares(chosen_models(models) or MODELS_OF_LIMIT, users, items, per_user)}
    if doublings:
        tables["growth"] = growth(users, items, per_user, doublings)
        home.reports.mkdir(parents=True, exist_ok=True)
        (home.reports / "bench_growth.svg").write_bytes(growth_plot(tables["growth"]))
    for name, table in tables.items():
        write_table(table, home.reports / f"bench_{name}.csv")
    if as_json:
        show(tables, str, as_json=True)
        return
    for name, table in tables.items():
        path = home.reports / f"bench_{name}.csv"
        out.print(
            frame_table(table, f"{name}: {users:,} users, {items:,} items, {per_user} interactions each")
        )
        out.print(f"wrote {path}", soft_wrap=True, markup=False)


@bench.command("warm")
def bench_warm_start(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset with windows.")],
    *,
    models: Annotated[str, typer.Option(help="Models of the dataset, separated by commas.")] = "bpr_mf,vbpr",
    windows: Annotated[int, typer.Option(min=1, help="Last windows that are trained both ways.")] = 6,
    seeds: Annotated[int, typer.Option(min=1, help="How many of the dataset's seeds.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Train models from scratch and from the window before, window by window: cost, accuracy, paired tests, a plot."""
    import polars as pl

    from mrs_pipeline.bench.tables import keep_rows, kept_rows, write_table
    from mrs_pipeline.bench.warm import (
        WARM_KEYS,
        bench_warm,
        check_warm_models,
        paired_tests,
        warm_plot,
        warm_summary,
    )
    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.orchestration.launch import made_for_models
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.reporting.drawing import png
    from mrs_pipeline.tasks.task import Stage

    chosen = chosen_models(models) or []
    check_warm_models(chosen)
    home = enter_home()
    project = load_project(home)
    config = project.config(dataset)
    keys, lines = made_for_models(project, dataset, chosen, windows + 1)
    show_steps()
    for line in lines:
        err.print(line, markup=False)
    folder = home.reports
    runs_path, users = folder / "bench_warm_runs.csv", []
    stages = [Stage(config, home, key) for key in keys]
    for model in chosen:
        for runs, measured in bench_warm(stages, model, config.seeds[:seeds]):
            keep_rows(runs_path, runs, WARM_KEYS)  # kept also where a later one fails
            users.append(measured)
            for run in runs.iter_rows(named=True):
                err.print(
                    f"{model} {run['window']} {run['way']}: {run['epochs']} epochs, {run['cpu_seconds']:.1f} CPU "
                    f"seconds, recall@20 {run['recall@20']:.4f}",
                    markup=False,
                )
    tests = paired_tests(pl.concat(users))
    every = kept_rows(runs_path).filter(
        pl.col("dataset") == dataset, pl.col("model").is_in(chosen), pl.col("window").is_in(keys)
    )
    summary = warm_summary(every, tests)
    write_table(tests, folder / "bench_warm_tests.csv")
    write_table(summary, folder / "bench_warm.csv")
    (folder / "bench_warm.png").write_bytes(png(warm_plot(every)))
    if as_json:
        show({"summary": summary, "tests": tests, "runs": every}, str, as_json=True)
        return
    out.print(frame_table(summary, f"warm start beside scratch, {dataset}, {len(keys) - 1} windows"))
    out.print(frame_table(tests, "warm minus scratch on test rows"))
    out.print(
        f"wrote {folder / 'bench_warm.csv'} and beside it runs, tests and a plot",
        soft_wrap=True,
        markup=False,
    )


@bench.command("complexity")
def bench_complexity(
    *,
    models: ModelNames = None,
    users: Annotated[int, typer.Option(min=100, help="Users of the smallest made-up market.")] = 2_000,
    items: Annotated[int, typer.Option(min=100, help="Items of it.")] = 2_000,
    per_user: Annotated[int, typer.Option(min=2, help="Interactions of a user.")] = 10,
    doublings: Annotated[
        int, typer.Option(min=1, max=6, help="How often items, and users, are doubled.")
    ] = 2,
    as_json: AsJson = False,
) -> None:
    """Exponents of seconds and bytes of preparation and a training step as items, and users, double."""
    from mrs_pipeline.bench.complexity import complexity
    from mrs_pipeline.bench.tables import write_table
    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.models.registry import MODELS

    home = enter_home()
    table = complexity(chosen_models(models) or sorted(MODELS.own), users, items, per_user, doublings)
    path = home.reports / "bench_complexity.csv"
    write_table(table, path)
    if as_json:
        show(table, str, as_json=True)
        return
    shown = table.drop("stated", "stated_memory")
    title = f"from {users:,} users and {items:,} items, doubled {doublings} times; 1 is linear"
    out.print(frame_table(shown, title))
    out.print(f"wrote {path}", soft_wrap=True, markup=False)


@bench.command("startup")
def bench_startup(
    *,
    repeats: Annotated[int, typer.Option(min=1, help="Processes of each kind.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Time `mrs --help`, loading this home's definitions, and what Dagster takes for a step."""
    from mrs_pipeline.bench.startup import startup
    from mrs_pipeline.cli.tables import frame_table

    found = startup(enter_home(), repeats)
    show(found, lambda: frame_table(found, f"seconds, median of {repeats}"), as_json=as_json)
