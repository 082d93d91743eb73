"""A model told to MLflow, in a folder: what one finds there, once."""

from pathlib import Path

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.serving.exporting import model_card
from mrs_pipeline.serving.tracking import track
from mrs_pipeline.tasks.task import Stage

mlflow = pytest.importorskip("mlflow")


def test_a_model_is_told_once_with_settings_metrics_curves_and_card(shop: Stage, tmp_path: Path) -> None:
    address = (tmp_path / "mlruns").as_uri()
    run, new = track(shop, "freedom", address)
    assert new
    assert track(shop, "freedom", address) == (run, False)
    client = mlflow.MlflowClient(address)
    told = client.get_run(run)
    assert told.info.status == "FINISHED"
    assert told.data.params["embedding_size"] == "16"
    card = model_card(shop, "freedom")
    assert told.data.tags["mrs.weights"] == card["weights"]["digest"]
    for each in card["measured"]["metrics"]:
        name = f"{each['slice']}/{each['metric'].replace('@', ' at ')}"
        assert told.data.metrics[name] == pytest.approx(each["value"])
    losses = client.get_metric_history(run, "seed 1/loss")
    history = shop.lake.read(shop.table("models", "history", model="freedom"))
    rows = history.filter(history["measure"] == "loss").sort("epoch")
    assert [(point.step, point.value) for point in losses] == list(rows.select("epoch", "value").iter_rows())
    assert {file.path for file in client.list_artifacts(run)} == {"card.json", "card.md"}
    other, new = track(shop, "most_pop", address)
    assert new and other != run
    (experiment,) = [each for each in client.search_experiments() if each.name == shop.config.name]
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_an_address_that_cannot_be_used_is_refused_in_a_sentence(shop: Stage) -> None:
    with pytest.raises(InputError, match=r"MLflow at gopher://nowhere: .*; correct --to"):
        track(shop, "most_pop", "gopher://nowhere")
