"""Lists, similar items, explanations and exports against what the stored lists and plain NumPy say."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.serving.answers import folded, recommend, similar, ways_to_compare
from mrs_pipeline.serving.bundle import Bundle, load_bundle
from mrs_pipeline.serving.explaining import explanation, sentence
from mrs_pipeline.serving.exporting import export
from mrs_pipeline.serving.shelf import Filter, NotThereError
from mrs_pipeline.serving.strip import write_strip
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of


def stored(stage: Stage, model: str, user: str, k: int) -> list[str]:
    lists = stage.lake.read(stage.table("serving", "recommendations", model=model))
    return lists.filter(user_id=user).sort("rank").head(k)["item_id"].to_list()


def ids(answer) -> list[str]:
    return [place.item_id for place in answer.places]


def a_user(bundle: Bundle) -> str:
    """Somebody with a history of at least four items."""
    return next(
        name
        for name, number in bundle.users.items()
        if bundle.known_users[number] and len(bundle.history_of(number)) > 4
    )


def history_ids(bundle: Bundle, user: str) -> list[str]:
    return [bundle.shelf.ids[item] for item in bundle.history_of(bundle.users[user])]


@pytest.mark.parametrize("model", ["vbpr", "knn_fusion", "freedom", "most_pop"])
def test_a_users_list_is_the_stored_one(shop: Stage, model: str) -> None:
    bundle = load_bundle(shop, model)
    for user in list(bundle.users)[:10]:
        found = recommend(bundle, 10, user=user)
        assert ids(found) == stored(shop, model, user, 10)
        assert [place.rank for place in found.places] == list(range(1, 11))


def test_the_graph_lists_nearly_what_the_exact_search_does(own_shop: Stage) -> None:
    settings = {
        **own_shop.config.model_dump(mode="json", exclude_unset=True),
        "serving": {"index": {"exact_below": 5}},
    }
    stage = stage_of(own_shop.home.root, **settings)
    perform(stage, ["index/vbpr"])
    bundle = load_bundle(stage, "vbpr")
    assert bundle.index is not None and bundle.index.graph is not None
    users = list(bundle.users)[:20]
    same = [
        len(set(ids(recommend(bundle, 10, user=user))) & set(stored(stage, "vbpr", user, 10)))
        for user in users
    ]
    assert np.mean(same) > 9


def test_an_index_of_other_vectors_is_not_asked(own_shop: Stage) -> None:
    perform(
        stage_of(
            own_shop.home.root,
            **{**own_shop.config.model_dump(mode="json", exclude_unset=True), "serving": {"refit": False}},
        ),
        ["vectors/vbpr", "index/vbpr"],
    )
    bundle = load_bundle(own_shop, "vbpr")
    assert bundle.index is None
    user = a_user(bundle)
    assert ids(recommend(bundle, 5, user=user)) == stored(own_shop, "vbpr", user, 5)


def test_a_history_is_folded_in_and_excluded(knn: Bundle, vbpr: Bundle) -> None:
    user = a_user(knn)
    history = history_ids(knn, user)
    assert ids(recommend(knn, 8, history=history)) == ids(recommend(knn, 8, user=user)), (
        "exact for this model"
    )
    near = recommend(vbpr, 8, history=history)
    assert near.ranked_by == "history" and not set(ids(near)) & set(history)


@pytest.mark.parametrize("model", ["vbpr", "knn"])
def test_who_is_unknown_or_new_is_shown_what_is_popular(model: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(model)
    order = np.argsort(-bundle.popularity, kind="stable")
    top = [bundle.shelf.ids[item] for item in order[:5]]
    for asked in ({"user": "nobody"}, {"history": []}):
        found = recommend(bundle, 5, **asked)
        assert found.ranked_by == "popularity" and ids(found) == top and "popular" in found.notice


@pytest.mark.parametrize("model", ["vbpr", "knn"])
def test_filters_leave_the_order_of_the_rest(model: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(model)
    user = a_user(bundle)
    everything = ids(recommend(bundle, 200, user=user))
    wanted = Filter(exclude=everything[:3])
    assert ids(recommend(bundle, 5, user=user, chosen=wanted)) == everything[3:8]
    some = [*everything[4:30:5], "not an item"]
    assert ids(recommend(bundle, 50, user=user, chosen=Filter(available=some))) == some[:-1]
    kinds = dict(zip(bundle.shelf.ids, bundle.shelf.items["category"].to_list(), strict=True))
    value = kinds[everything[0]]
    only = recommend(bundle, 50, user=user, chosen=Filter(where={"category": value}))
    assert ids(only) == [each for each in everything if kinds[each] == value][:50]
    assert recommend(bundle, 5, user=user, chosen=Filter(available=[])).places == ()


def test_wrong_questions_are_one_sentence(vbpr: Bundle) -> None:
    user = a_user(vbpr)
    for call, words in (
        (lambda: recommend(vbpr, 5), "one of the two"),
        (lambda: recommend(vbpr, 5, user=user, history=[]), "one of the two"),
        (lambda: recommend(vbpr, 5, history=["nothing"]), "there is no item 'nothing'"),
        (
            lambda: recommend(vbpr, 5, user=user, chosen=Filter(where={"colour": "red"})),
            "no attribute 'colour'",
        ),
        (lambda: similar(vbpr, "r0001", 5, "smell"), "cannot be compared by 'smell'"),
        (lambda: explanation(vbpr, "r0001", user="nobody"), "there is no user 'nobody'"),
        (lambda: explanation(vbpr, "nothing", user=user), "there is no item"),
        (lambda: explanation(vbpr, "r0001", history=[]), "no history"),
    ):
        with pytest.raises(InputError, match=words):
            call()
    with pytest.raises(NotThereError):
        similar(vbpr, "nothing", 5, "text")


def test_similar_items_are_those_of_the_largest_cosine(vbpr: Bundle) -> None:
    assert ways_to_compare(vbpr) == ["text", "image", "joint", "model"]
    image, text = vbpr.content["image"], vbpr.content["text"]
    item = int(np.flatnonzero(image.present & text.present)[0])
    name = vbpr.shelf.ids[item]
    cosines = image.values @ image.values[item]
    cosines[~image.present] = -2
    cosines[item] = -2
    assert ids(similar(vbpr, name, 4, "image")) == [vbpr.shelf.ids[at] for at in np.argsort(-cosines)[:4]]
    both = image.present & text.present
    joint = (cosines + text.values @ text.values[item]) / 2
    found = similar(vbpr, name, 60, "joint")
    scores = {place.item_id: place.score for place in found.places}
    for at in np.flatnonzero(both)[1:6]:
        assert scores[vbpr.shelf.ids[at]] == pytest.approx(joint[at], abs=1e-5)
    lacking = vbpr.shelf.ids[int(np.flatnonzero(~image.present)[0])]
    with pytest.raises(InputError, match="has no image"):
        similar(vbpr, lacking, 4, "image")


@pytest.mark.parametrize("model", ["vbpr", "knn"])
def test_shares_of_paths_add_up_to_the_score(model: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(model)
    user = a_user(bundle)
    for place in recommend(bundle, 5, user=user).places:
        found = explanation(bundle, place.item_id, user=user)
        assert found.exact and {"text", "image"} <= set(found.paths)
        assert sum(found.paths.values()) == pytest.approx(place.score, abs=1e-4)
        assert found.score == pytest.approx(place.score, abs=1e-4)
        assert place.title in sentence(found)


def test_shares_of_the_history_are_weights_where_the_model_is_linear(knn: Bundle) -> None:
    user = a_user(knn)
    (place,) = recommend(knn, 1, user=user).places
    found = explanation(knn, place.item_id, user=user, reasons=500)
    assert sum(each.share for each in found.reasons) == pytest.approx(place.score, abs=1e-4)
    first = found.reasons[0]
    history = history_ids(knn, user)
    rest = [each for each in history if each != first.item_id]
    item = knn.shelf.number(place.item_id)
    taken = [knn.shelf.numbers(history), knn.shelf.numbers(rest)]
    whole, without = folded(knn, taken)[:, item]
    assert whole - without == pytest.approx(first.share, abs=1e-5)


def test_a_model_whose_vectors_are_no_sum_is_explained_by_leaving_out(shop: Stage) -> None:
    bundle = load_bundle(shop, "freedom")
    user = a_user(bundle)
    (place,) = recommend(bundle, 1, user=user).places
    found = explanation(bundle, place.item_id, user=user)
    assert not found.exact and set(found.paths) <= {"text", "image"} and found.reasons
    assert any(abs(value) > 0 for value in found.paths.values())
    assert ("by leaving it out" in sentence(found)) == (found.named is not None)


def test_leaving_out_a_modality_leaves_the_graphs_of_the_others(shop: Stage) -> None:
    """FREEDOM reads content by its graphs of items alone: what two modalities give differs as their neighbours do."""
    bundle = load_bundle(shop, "freedom")
    both = bundle.content["text"].present & bundle.content["image"].present
    ids = {bundle.shelf.ids[at] for at in np.flatnonzero(both)}
    given = [
        explanation(bundle, place.item_id, user=user).paths
        for user in list(bundle.users)[:4]
        for place in recommend(bundle, 3, user=user).places
        if place.item_id in ids
    ]
    assert given
    assert all(each["text"] != pytest.approx(each["image"], abs=1e-6) for each in given)


@pytest.mark.parametrize("name", ["vbpr", "knn_fusion", "freedom"])
def test_without_the_named_evidence_the_score_falls_more_than_without_any(shop: Stage, name: str) -> None:
    bundle, rng = load_bundle(shop, name), np.random.default_rng(1)
    named, random = [], []
    for user in list(bundle.users)[:40]:
        history = history_ids(bundle, user)
        if len(history) < 5:
            continue
        for place in recommend(bundle, 2, history=history).places:
            item = bundle.shelf.number(place.item_id)
            best = explanation(bundle, place.item_id, history=history, reasons=1).reasons[0].item_id
            other = rng.choice([each for each in history if each != best])
            lists = [
                bundle.shelf.numbers([each for each in history if each != out]) for out in ("", best, other)
            ]
            scores = folded(bundle, lists)
            scores = scores @ bundle.item_vectors[item] if bundle.products else scores[:, item]
            named.append(scores[0] - scores[1])
            random.append(scores[0] - scores[2])
    assert len(named) > 20
    assert np.mean(np.array(named) > np.array(random)) > 0.8 and np.mean(named) > np.mean(random)


def test_a_strip_of_pictures(vbpr: Bundle, tmp_path: Path) -> None:
    user = a_user(vbpr)
    found = [explanation(vbpr, place.item_id, user=user) for place in recommend(vbpr, 2, user=user).places]
    write_strip(vbpr, found, tmp_path / "why.png")
    from PIL import Image

    with Image.open(tmp_path / "why.png") as picture:
        assert picture.width > 900 and len(set(picture.convert("L").getdata())) > 50
    write_strip(vbpr, found, tmp_path / "why.html")
    text = (tmp_path / "why.html").read_text()
    assert text.count("<section>") == 2 and "data:image/jpeg;base64" in text
    with pytest.raises(InputError, match="neither in .png nor in .html"):
        write_strip(vbpr, found, tmp_path / "why.pdf")


def test_an_export_needs_no_code_of_ours(
    shop: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mrs_pipeline.serving import exporting

    monkeypatch.setattr(exporting, "trace", lambda *_: exporting.Origin("final/vbpr", "d" * 64, None))
    export(shop, "vbpr", tmp_path / "out")
    items, users = np.load(tmp_path / "out/items.npy"), np.load(tmp_path / "out/users.npy")
    names = pl.read_parquet(tmp_path / "out/items.parquet")
    people = pl.read_parquet(tmp_path / "out/users.parquet")
    lists = pl.read_parquet(tmp_path / "out/recommendations.parquet").filter(ranked_by="model")
    first = lists.row(0, named=True)
    row = people.filter(id=first["user_id"])["row"].item()
    at = names.filter(id=first["item_id"])["row"].item()
    assert users[row] @ items[at] == pytest.approx(first["score"], abs=1e-4)
    vectors = pl.read_parquet(tmp_path / "out/vectors.parquet")
    assert vectors["vector"].dtype == pl.Array(pl.Float32, items.shape[1])
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert {"slice": "all", "metric": "recall@20"}.items() <= next(
        each for each in card["measured"]["metrics"] if each["metric"] == "recall@20"
    ).items()
    assert card["weights"]["asset"] == "final/vbpr" and "core/splits" in card["data"]
    assert "95 % interval" in (tmp_path / "out/card.md").read_text()
    with pytest.raises(InputError, match="not empty"):
        export(shop, "vbpr", tmp_path / "out")
    with pytest.raises(InputError, match="has no lists of 'ease'"):
        export(shop, "ease", tmp_path / "other")
    export(shop, "knn_fusion", tmp_path / "lists")
    assert {path.name for path in (tmp_path / "lists").iterdir()} == {
        "recommendations.parquet",
        "card.json",
        "card.md",
    }
