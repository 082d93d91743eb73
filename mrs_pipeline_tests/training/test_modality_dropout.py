"""Modality dropout: what is dropped, that any model's step sees it, and that it leaves no trace beyond training."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import sparse

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import fit
from mrs_pipeline.functional.graphs import knn_graph
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind, FeatureUse
from mrs_pipeline.training.checkpoint import CheckpointFile
from mrs_pipeline.training.loop import train
from mrs_pipeline.training.modality_dropout import views_of, with_dropped
from mrs_pipeline.training.options import ModalityDropoutOptions, TrainingOptions
from mrs_pipeline.training.world import World
from mrs_pipeline.types import FeatureMatrix
from mrs_pipeline_tests.toy import N_ITEMS, build, first_batch, small_config, toy_market

SEEING = [
    name
    for name in sorted(MODELS.own)
    if MODELS[name].spec.features is not FeatureUse.IGNORED
    and MODELS[name].spec.batches is not BatchKind.NONE
    and not MODELS[name].spec.clusters
]
BEFORE = {"pmgt", "pamd", "mcptr", "promptmm", "distill", "sem_macridvae", "bm3"}
"""Their content enters before the steps: by pre-training, by a teacher, as first values of what is learned."""
OPTIONS = TrainingOptions(
    epochs=3,
    batch_size=64,
    patience=100,
    modality_dropout=ModalityDropoutOptions(probability=0.5, views=2),
)
MARKET = toy_market()


def as_dense(graph) -> np.ndarray:
    return sparse.csr_matrix((graph.weights, graph.indices, graph.indptr), graph.shape).toarray()


def test_what_is_dropped_is_the_mean_and_has_no_links():
    _, inputs = build("freedom", MARKET.data)
    seen = {name: values.clone() for name, values in inputs.features.items()}
    found = with_dropped(inputs, 0.4, torch.Generator().manual_seed(1))
    shares = []
    for name, values in found.features.items():
        present = inputs.present[name]
        changed = (values != seen[name]).any(1)
        shares.append(changed.float().sum() / present.sum())
        assert not changed[~present].any()
        assert torch.allclose(values[changed], seen[name][present].mean(0).expand(int(changed.sum()), -1))
        dense = found.item_graphs[name].tensor().to_dense()
        assert (dense[changed] == 0).all() and (dense[:, changed] == 0).all()
        shown = FeatureMatrix(seen[name].numpy(), (present & ~changed).numpy())
        assert np.allclose(dense, as_dense(knn_graph(shown, 5)))
    assert all(0.25 < share < 0.55 for share in shares)
    assert all(torch.equal(values, inputs.features[name]) for name, values in seen.items())
    drawn = [(found.features[name] != seen[name]).any(1) for name in ("image", "text")]
    assert not torch.equal(*drawn)


@pytest.mark.parametrize("name", ["megcf", "rpg", "sgfd"])
def test_what_is_learned_of_clusters_of_content_is_refused(name):
    model, inputs = build(name, MARKET.data)
    wanted = rf"model '{name}' learns .*`model_training: {{{name}: {{modality_dropout: null}}}}`"
    with pytest.raises(InputError, match=wanted):
        views_of(model, inputs, ModalityDropoutOptions())


@pytest.mark.parametrize("name", SEEING)
def test_any_models_step_sees_the_lack_and_trains_the_one_set_of_parameters(name):
    model, inputs = build(name, MARKET.data)
    options = ModalityDropoutOptions(probability=0.9, views=1)
    (view,) = views_of(model, inputs, options)
    mine, theirs = dict(model.named_parameters()), dict(view.named_parameters())
    assert mine.keys() == theirs.keys() and all(mine[key] is theirs[key] for key in mine)
    batch = first_batch(model, inputs)
    state = model.generator.get_state()
    model.start_epoch()
    whole = sum(model.loss(batch).values())
    model.generator.set_state(state)
    view.train()
    view.start_epoch()
    less = sum(view.loss(batch).values())
    assert less.isfinite()
    assert torch.equal(whole, less) == (name in BEFORE)
    less.backward()
    assert sum(value.grad is not None and bool((value.grad != 0).any()) for value in mine.values()) > 0


def test_steps_take_the_views_in_turn(monkeypatch):
    model, inputs = build("vbpr", MARKET.data)
    asked = []
    for number, view in enumerate(views_of(model, inputs, OPTIONS.modality_dropout)):
        real = type(view).loss
        object.__setattr__(
            view, "loss", lambda batch, n=number, v=view, f=real: asked.append(n) or f(v, batch)
        )
        if number == 0:
            views = [view]
        else:
            views.append(view)
    monkeypatch.setattr("mrs_pipeline.training.loop.views_of", lambda *_: views)
    train(model, inputs, OPTIONS.model_copy(update={"epochs": 1}), lambda _: 0.0)
    assert asked == [number % 2 for number in range(len(asked))] and len(asked) > 4


def test_an_interrupted_run_ends_bit_equal(tmp_path):
    def score(model) -> float:
        return -abs(float(model.score(torch.arange(60)).std()) - 0.6)

    calls = []

    def killed(model) -> float:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(model)

    options = OPTIONS.model_copy(update={"checkpoint_every": 1})
    model, inputs = build("mgcn", MARKET.data)
    train(model, inputs, options, score)
    file = CheckpointFile(tmp_path, "same")
    with pytest.raises(KeyboardInterrupt):
        train(build("mgcn", MARKET.data)[0], inputs, options, killed, file)
    resumed, _ = build("mgcn", MARKET.data)
    train(resumed, inputs, options, score, file)
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in model.state_dict().items())


def test_it_changes_what_is_learned_of_content_and_nothing_without_content():
    everyone = torch.arange(60)
    plain = OPTIONS.model_copy(update={"modality_dropout": None})
    for name, differs in (("vbpr", True), ("bpr_mf", False)):
        one, other = (
            fit(MARKET.data, name, small_config(name), training=options).model.score(everyone)
            for options in (plain, OPTIONS)
        )
        assert torch.equal(one, other) != differs
        assert one.shape == (60, N_ITEMS)


def test_a_checkpoint_of_plain_steps_is_not_gone_on_with(tmp_path):
    plain = OPTIONS.model_copy(update={"modality_dropout": None})
    config = small_config("vbpr")
    fit(MARKET.data, "vbpr", config, training=plain, checkpoints=tmp_path)
    dropped = fit(MARKET.data, "vbpr", config, training=OPTIONS, checkpoints=tmp_path)
    fresh = fit(MARKET.data, "vbpr", config, training=OPTIONS)
    everyone = torch.arange(60)
    assert torch.equal(dropped.model.score(everyone), fresh.model.score(everyone))


def test_settings_are_bounded_and_several_processes_refused():
    assert TrainingOptions().modality_dropout is None
    for wrong in ({"probability": 0}, {"probability": 1}, {"views": 0}, {"share": 0.1}):
        with pytest.raises(ValidationError):
            TrainingOptions(modality_dropout=wrong)
    with pytest.raises(InputError, match="`training: {modality_dropout: ...}` is for one process and 2"):
        World(0, 2).require_alone("modality_dropout")
