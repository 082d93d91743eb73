"""What every pretrainer must do, and each against its equations in dense NumPy."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mrs_pipeline.encoders.diagnostics import summarise_features
from mrs_pipeline.errors import InputError, NonFiniteLossError
from mrs_pipeline.functional.graphs import with_item_graphs
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.pretraining.base import Pretrainer
from mrs_pipeline.models.pretraining.pmgt import walked_graph
from mrs_pipeline.models.pretraining.registry import PRETRAINERS, pretrainer_class
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.training.pretraining import configure_pretraining, pretrain
from mrs_pipeline.types import FeatureMatrix, TrainingData, vectors_of_users
from mrs_pipeline_tests.models.small import DATA, N_ITEMS, RATINGS, weights
from mrs_pipeline_tests.toy import N_ITEMS as TOY_ITEMS
from mrs_pipeline_tests.toy import N_USERS as TOY_USERS
from mrs_pipeline_tests.toy import small_pretraining, toy_market

ALL = sorted(PRETRAINERS)


def built(name: str, data: TrainingData, **overrides: object) -> Pretrainer:
    config = small_pretraining(name, **overrides)
    inputs = ModelInputs.from_data(with_item_graphs(data, 5))
    return pretrainer_class(name)(config, inputs, torch.Generator().manual_seed(1))


def made(name: str, data: TrainingData, **overrides: object) -> dict[str, FeatureMatrix]:
    return dict(pretrain(data, name, small_pretraining(name, **overrides)).matrices)


@pytest.mark.parametrize("name", ALL)
def test_declares_itself(name):
    kind = pretrainer_class(name)
    text = inspect.getmodule(kind).__doc__
    assert kind.spec.name == name
    assert kind.spec.url.startswith("https://")
    assert all((kind.spec.title, kind.spec.paper, kind.spec.complexity))
    assert all(word in text for word in ("Equation:", "Deviations:", "Complexity:"))
    for field, info in kind.Config.model_fields.items():
        assert info.description, f"{field} has no docstring"
    with pytest.raises(ValidationError):
        kind.Config(no_such_setting=1)


def test_models_name_pretrainers_that_there_are():
    assert {model.spec.pretraining for model in MODELS.values()} - {None} <= set(PRETRAINERS)


def test_mistakes_are_named():
    with pytest.raises(
        InputError, match=r"no pretraining 'pmtg' \(did you mean 'pmgt'\?\); there are pmgt, pamd"
    ):
        pretrainer_class("pmtg")
    with pytest.raises(InputError, match=r"pretraining 'pmgt', setting 'dropout': Input should be less"):
        configure_pretraining("pmgt", {"dropout": 2})
    with pytest.raises(InputError, match=r"pretraining 'pamd' needs item features"):
        pretrain(replace(DATA, features={}), "pamd")


@pytest.mark.parametrize("name", ALL)
def test_result_is_named_finite_masked_and_not_collapsed(name, market):
    for key, matrix in made(name, market.data).items():
        assert key.partition("/")[0] == name and matrix.name == key
        assert matrix.values.dtype == np.float32
        rows = TOY_USERS if vectors_of_users(key) else TOY_ITEMS
        assert len(matrix.values) == len(matrix.present) == rows
        assert np.isfinite(matrix.values).all()
        assert not matrix.values[~matrix.present].any()
        assert summarise_features(matrix.values, matrix.present).effective_rank > 2


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_gets_a_gradient(name, market):
    model = built(name, market.data, mask_share=0.5)
    model.train()
    model.start_epoch()
    sum(model.loss(model.items()).values()).backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None and value.grad.abs().sum() > 0, parameter


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_vectors_whatever_the_global_one(name, market):
    torch.manual_seed(0)
    first = made(name, market.data, epochs=2)
    torch.manual_seed(1)
    again, other = made(name, market.data, epochs=2), made(name, market.data, epochs=2, seed=2)
    for key, matrix in first.items():
        assert np.array_equal(matrix.values, again[key].values)
        assert not np.allclose(matrix.values, other[key].values)


@pytest.mark.parametrize("name", ALL)
def test_loss_falls_and_the_best_epoch_is_kept(name, market):
    result = pretrain(market.data, name, small_pretraining(name, epochs=40, patience=3))
    totals = [sum(record.losses.values()) for record in result.history]
    held_out = [record.held_out for record in result.history]
    assert np.isfinite(totals).all()
    assert min(totals) < 0.95 * totals[0]
    assert result.best_epoch == 1 + int(np.argmin(held_out))
    assert len(held_out) in (40, result.best_epoch + 3)


@pytest.mark.parametrize("name", ALL)
def test_all_items_may_be_learnt_from(name, market):
    result = pretrain(market.data, name, small_pretraining(name, held_out=0.0, epochs=3))
    assert [record.held_out for record in result.history] == [None] * 3
    assert result.best_epoch == 3


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("garbage", [1e6, np.nan])
def test_what_stands_in_a_missing_row_does_not_matter(name, market, garbage):
    dirty = {}
    for modality, matrix in market.data.features.items():
        values = matrix.values.copy()
        values[~matrix.present] = garbage
        dirty[modality] = FeatureMatrix(values, matrix.present, modality)
    soiled = made(name, replace(market.data, features=dirty), epochs=2)
    for key, matrix in made(name, market.data, epochs=2).items():
        assert np.array_equal(matrix.values, soiled[key].values)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_modalities", [1, 2, 3, 4])
def test_works_with_any_number_of_modalities_and_one_that_nobody_has(name, n_modalities):
    data = toy_market(("text", "image", "audio", "video")[:n_modalities]).data
    nobody = FeatureMatrix(np.zeros((TOY_ITEMS, 3), np.float32), np.zeros(TOY_ITEMS, bool), "smell")
    for features in (data.features, {**data.features, "smell": nobody}):
        for matrix in made(name, replace(data, features=features), epochs=2).values():
            assert np.isfinite(matrix.values).all()


@pytest.mark.parametrize("name", ALL)
def test_a_column_that_never_varies_and_a_huge_scale_are_borne(name, market):
    matrix = market.data.features["text"]
    values = np.concatenate([1e5 * matrix.values, np.full((TOY_ITEMS, 1), 7e4, np.float32)], axis=1)
    features = {**market.data.features, "text": replace(matrix, values=values)}
    for found in made(name, replace(market.data, features=features), epochs=2).values():
        assert np.isfinite(found.values).all()


def test_a_diverging_pretraining_is_named(market):
    with pytest.raises(NonFiniteLossError, match=r"pretraining 'pamd': loss term '\w+' is nan in epoch"):
        class_ = pretrainer_class("pamd")
        original = class_.loss
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                class_, "loss", lambda self, items: {k: v * np.nan for k, v in original(self, items).items()}
            )
            made("pamd", market.data)


# PAMD


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def standard(matrix: FeatureMatrix) -> np.ndarray:
    """Columns with mean 0 and deviation 1 over the present rows."""
    values = np.zeros(matrix.values.shape)
    known = matrix.values[matrix.present].astype(np.float64)
    values[matrix.present] = (known - known.mean(0)) / known.std(0)
    return values


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def minus_log_softmax(columns: list[np.ndarray]) -> np.ndarray:
    """Of the first column among all."""
    return np.log(np.exp(columns).sum(0)) - columns[0]


def pamd_parts(state: dict[str, np.ndarray], modality: str) -> tuple[np.ndarray, ...]:
    whole = standard(DATA.features[modality]) @ state[f"encoders.{modality}.weight"].T
    length = np.linalg.norm(whole, axis=1, keepdims=True)
    whole = whole / np.where(length > 0, length, 1)
    common = whole @ state[f"common.{modality}.weight"].T
    return common, whole, whole - common


def test_pamd_aligns_separates_and_orders():
    model = built("pamd", DATA, temperature=0.5)
    state = weights(model)
    found = {key: term.item() for key, term in model.loss(torch.arange(N_ITEMS)).items()}
    parts = {modality: pamd_parts(state, modality) for modality in DATA.features}
    both = DATA.features["image"].present & DATA.features["text"].present
    assert both.sum() == 4  # one lacks its image, another its text
    image, text = ([part[both] for part in parts[modality]] for modality in ("image", "text"))
    gaps = unit(image[0]) - unit(text[0])
    expected = {
        "align": (gaps**2).sum(1).mean(),
        "orthogonality": ((image[2] * text[2]).sum(1) ** 2).mean(),
    }
    order = []
    for source, target, own in (("image", "text", image), ("text", "image", text)):
        wanted = standard(DATA.features[target])[both]
        decoder = state[f"decoders.{source}->{target}.weight"].T
        told = [cosine(part @ decoder, wanted) / 0.5 for part in own]
        told[2] = np.abs(told[2])  # the reverse of the other modality is not nothing
        order.append((minus_log_softmax(told) + minus_log_softmax(told[1:])).mean())
    expected["order"] = np.mean(order)
    assert found == pytest.approx(expected, abs=1e-6)


def test_pamd_gives_the_parts_that_it_has_learnt():
    model = built("pamd", DATA)
    state = weights(model)
    with torch.no_grad():
        matrices = model.matrices()
    assert set(matrices) == {f"pamd/{kind}_{m}" for kind in ("common", "specific") for m in ("image", "text")}
    for modality, matrix in DATA.features.items():
        common, _, specific = pamd_parts(state, modality)
        for kind, expected in (("common", common), ("specific", specific)):
            part = matrices[f"pamd/{kind}_{modality}"]
            assert np.array_equal(part.present, matrix.present)
            assert np.allclose(part.values[matrix.present], expected[matrix.present], atol=1e-6)


def test_pamd_compares_every_item_with_itself_alone():
    """The public code adds up one of the similarities over the batch, so that the loss depends on its size."""
    model = built("pamd", DATA)
    rows = torch.tensor([0, 2, 4])
    whole = {key: term.item() for key, term in model.loss(rows).items()}
    alone = [model.loss(rows[k : k + 1]) for k in range(3)]
    for key, term in whole.items():
        assert term == pytest.approx(np.mean([each[key].item() for each in alone]), abs=1e-6)


def test_pamd_of_one_modality_has_no_common_part(market):
    single = replace(market.data, features={"text": market.data.features["text"]})
    result = pretrain(single, "pamd", small_pretraining("pamd"))
    assert set(result.matrices) == {"pamd/specific_text"}
    assert set(result.history[0].losses) == {"reconstruction"}


def test_pamd_finds_what_is_shared():
    """Two modalities of a planted common factor and one factor each."""
    rng = np.random.default_rng(3)
    n, width = 400, 3
    shared, own = rng.normal(size=(n, width)), {m: rng.normal(size=(n, width)) for m in ("image", "text")}
    features = {}
    for modality, factor in own.items():
        mixing = rng.normal(size=(2 * width, 16))
        values = np.concatenate([shared, factor], 1) @ mixing
        features[modality] = FeatureMatrix(values.astype(np.float32), np.ones(n, bool), modality)
    pairs = np.stack([np.zeros(1, int), np.zeros(1, int)], 1)
    interactions = type(DATA.train)(pairs[:, 0], pairs[:, 1], 1, n)
    data = TrainingData(interactions, interactions, features)
    parts = made("pamd", data, epochs=150, embedding_size=16, patience=150)

    def held(part: str, factor: np.ndarray) -> float:
        """Share of the part's variance that is the factor's."""
        values = parts[part].values.astype(np.float64)
        fit = factor @ np.linalg.lstsq(factor, values - values.mean(0), rcond=None)[0]
        return (fit**2).sum() / ((values - values.mean(0)) ** 2).sum()

    for modality, factor in own.items():
        common, specific = f"pamd/common_{modality}", f"pamd/specific_{modality}"
        assert held(common, shared) > 0.7
        assert held(common, factor) < 0.1
        assert held(specific, factor) > held(common, factor)


# PMGT


def pmgt_graph(content_share: float, k: int = 5) -> np.ndarray:
    inner = RATINGS.T @ RATINGS
    degree = np.maximum(np.diag(inner), 1)
    graphs = [inner / np.sqrt(np.outer(degree, degree))]
    for matrix in DATA.features.values():
        norm = np.linalg.norm(matrix.values, axis=1)
        graphs.append(matrix.values @ matrix.values.T / np.maximum(np.outer(norm, norm), 1e-12))
    total, weight = np.zeros((N_ITEMS, N_ITEMS)), np.zeros((N_ITEMS, 1))
    for share, graph in zip([1 - content_share, content_share / 2, content_share / 2], graphs, strict=True):
        np.fill_diagonal(graph, 0)
        kept = np.maximum(graph, 0)
        row = kept.sum(1, keepdims=True)
        total += np.where(row > 0, share * kept / np.where(row > 0, row, 1), 0)
        weight += share * (row > 0)
    return total / weight


@pytest.mark.parametrize("content_share", [0.0, 0.3, 1.0])
def test_pmgt_mixes_who_took_items_with_what_they_are(content_share):
    data = with_item_graphs(DATA, 6)
    config = small_pretraining("pmgt", content_share=content_share)
    graph = walked_graph(ModelInputs.from_data(data), config).tensor().to_dense().numpy()
    with np.errstate(invalid="ignore"):
        expected = pmgt_graph(content_share)
    assert np.allclose(graph, np.nan_to_num(expected), atol=1e-6)
    assert (graph[5].sum() > 0) == (content_share > 0)  # the cold item is reached by its content alone


def test_pmgt_walks_in_proportion_to_the_weights():
    model = built("pmgt", DATA)
    graph = walked_graph(ModelInputs.from_data(with_item_graphs(DATA, 5)), model.config).tensor().to_dense()
    drawn = model._sampler.draw(torch.arange(N_ITEMS), 20_000, model.generator)
    counts = np.stack([np.bincount(row, minlength=N_ITEMS) for row in drawn.numpy()]) / 20_000
    assert np.allclose(counts, graph.numpy(), atol=0.02)


def test_pmgt_negatives_are_strangers_and_positives_neighbours(market):
    """The public port may draw the item itself, its neighbours or padding as negatives."""
    model = built("pmgt", market.data, walk_k=3)
    edges = set()
    sampler = model._sampler
    for node in range(TOY_ITEMS):
        first = int(sampler.starts[node])
        for other in sampler.indices[first : first + int(sampler.counts[node])].tolist():
            edges.add((node, other))
    for _ in range(20):
        left, right, joined = model._pairs(model.items())
        for a, b, related in zip(left.tolist(), right.tolist(), joined.tolist(), strict=True):
            assert a != b and ((a, b) in edges) == related
        assert 0 < joined.sum() < len(joined)


def test_pmgt_hides_contexts_and_never_the_item_itself(market):
    model = built("pmgt", market.data, mask_share=0.4, replace_share=0.3)
    model.start_epoch()
    nodes = torch.arange(TOY_ITEMS)
    hidden, lost, items = model._encoded(nodes, corrupted=True)
    assert hidden.shape[:2] == lost.shape
    assert not lost[:, 0].any()
    known = model._contexts >= 0
    assert 0.5 < lost[:, 1:][known].float().mean() < 0.9
    assert torch.equal(items, torch.cat([nodes.unsqueeze(1), model._contexts], 1)[lost])


def test_pmgt_padding_is_not_attended_to(market):
    model = built("pmgt", market.data)
    model.eval()
    tokens = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(0))
    absent = torch.tensor([[False, False, True, True]] * 3)
    whole = model.transformer(tokens, absent)[:, :2]
    tokens[:, 2:] = 1e3
    assert torch.allclose(model.transformer(tokens, absent)[:, :2], whole, atol=1e-6)


def test_pmgt_transformer_layer():
    """Attention mixes what is unlike with what is asked for; post-normalised residuals."""
    model = built("pmgt", DATA, diversity=0.3, n_layers=1)
    model.eval()
    state = {key: value for key, value in weights(model).items() if key.startswith("transformer.")}
    state = {key.removeprefix("transformer."): value for key, value in state.items()}

    def norm(x: np.ndarray, prefix: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * state[f"{prefix}.weight"] + state[f"{prefix}.bias"]

    def linear(x: np.ndarray, prefix: str) -> np.ndarray:
        return x @ state[f"{prefix}.weight"].T + state[f"{prefix}.bias"]

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    tokens = np.random.default_rng(0).normal(size=(2, 3, 16))
    roles = np.stack([state["role"][0], state["role"][1], state["role"][1]])
    x = norm(tokens + state["position"][:3] + roles, "norm")
    query, key, value, unlike = np.split(linear(x, "layers.0.mixed"), 4, axis=-1)
    swap = (0, 2, 1)
    unlike = unlike / np.linalg.norm(unlike, axis=-1, keepdims=True)
    diverse = softmax(1 - unlike @ unlike.transpose(swap) + np.eye(3))
    asked = softmax(query @ key.transpose(swap) / 4)
    x = norm(x + linear((0.3 * diverse + 0.7 * asked) @ value, "layers.0.out"), "layers.0.norms.0")
    inner = linear(x, "layers.0.inner")
    erf = torch.erf(torch.from_numpy(inner / np.sqrt(2))).numpy()
    x = norm(x + linear(inner * (1 + erf) / 2, "layers.0.outer"), "layers.0.norms.1")
    absent = torch.zeros(2, 3, dtype=torch.bool)
    found = model.transformer(torch.from_numpy(tokens).float(), absent).detach().numpy()
    assert np.allclose(found, x, atol=1e-5)


def test_pmgt_loss_is_structure_and_features(market):
    """Both terms from the hidden states, with the draws recorded."""
    model = built("pmgt", DATA, mask_share=0.5, dropout=0.0)
    model.eval()
    model.start_epoch()
    items, state = model.items(), model.generator.get_state()
    found = {key: term.item() for key, term in model.loss(items).items()}
    model.generator.set_state(state)
    left, right, joined = model._pairs(items)
    nodes = torch.unique(torch.cat([left, right]))
    hidden, lost, lost_items = model._encoded(nodes, corrupted=True)
    row = {int(node): number for number, node in enumerate(nodes)}
    own = hidden[:, 0].detach().double().numpy()
    near = cosine(own[[row[int(a)] for a in left]], own[[row[int(b)] for b in right]])
    signs = np.where(joined.numpy(), 1, -1)
    assert found["structure"] == pytest.approx(np.log1p(np.exp(-signs * near)).mean(), abs=1e-6)
    errors, parameters = [], weights(model)
    states = hidden[lost].detach().double().numpy()
    for modality, matrix in DATA.features.items():
        kept = matrix.present[lost_items.numpy()]
        guess = states[kept] @ parameters[f"heads.{modality}.weight"].T + parameters[f"heads.{modality}.bias"]
        errors.append(((guess - standard(matrix)[lost_items.numpy()[kept]]) ** 2).mean())
    assert found["features"] == pytest.approx(np.mean(errors), abs=1e-5)


def test_pmgt_fuses_the_modalities_that_an_item_has():
    model = built("pmgt", DATA)
    state = weights(model)
    tokens, present = [], []
    for modality, matrix in DATA.features.items():
        rows = standard(matrix) @ state[f"fusion.layers.{modality}.weight"].T
        rows = rows + state[f"fusion.layers.{modality}.bias"]
        rows[~matrix.present] = 0
        tokens.append(rows)
        present.append(matrix.present)
    logits = np.tanh(np.concatenate(tokens, 1)) @ state["fusion.attention.weight"].T
    logits = np.exp(logits + state["fusion.attention.bias"]) * np.stack(present, 1)
    share = logits / logits.sum(1, keepdims=True)
    expected = sum(share[:, [k]] * rows for k, rows in enumerate(tokens))
    found = model.fusion(torch.arange(N_ITEMS)).detach().numpy()
    assert np.allclose(found, expected, atol=1e-5)
    assert share[1].tolist() == [0, 1] and share[3].tolist() == [1, 0]


def test_pmgt_makes_neighbours_alike(market):
    """Items of one planted taste end nearer to each other than to others, cold ones among them."""
    matrix = made("pmgt", market.data, epochs=40)["pmgt"]
    near = unit(matrix.values.astype(np.float64) - matrix.values.mean(0))
    alike = market.item_taste[:, None] == market.item_taste[None, :]
    np.fill_diagonal(alike, False)
    similarity = near @ near.T
    cold = np.arange(TOY_ITEMS) >= 36
    for rows in (~cold, cold):
        assert similarity[rows][alike[rows]].mean() > similarity[rows][~alike[rows]].mean() + 0.2
