"""The service over HTTP: what it answers, what it refuses, and that a swap drops and mixes nothing."""

import threading
import time
from collections.abc import Iterator

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from mrs_pipeline.promotion.decisions import champion_stage, promote, rollback
from mrs_pipeline.serving.app import make_api, make_app
from mrs_pipeline.serving.bundle import leading_model
from mrs_pipeline.serving.swapping import Holder
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of

TOKEN = "a secret of this test"


@pytest.fixture(scope="module")
def client(shop: Stage) -> Iterator[TestClient]:
    holder = Holder(shop, "vbpr")
    yield TestClient(make_app(holder), base_url="http://localhost", raise_server_exceptions=False)
    holder.close()


def test_it_says_what_it_serves(client: TestClient) -> None:
    told = client.get("/health").json()
    assert (told["status"], told["dataset"], told["model"], told["search"]) == ("ok", "tiny", "vbpr", "exact")
    assert told["takes_new_items"] and told["histories"] and told["media"] == ["image"]
    page = client.get("/")
    assert page.status_code == 200 and "default-src 'self'" in page.headers["content-security-policy"]
    for path in ("/", "/page.js", "/page.css"):
        text = client.get(path).text
        assert "http://" not in text and "https://" not in text, "the page fetches nothing from elsewhere"


def test_lists_pictures_and_reasons_belong_together(client: TestClient) -> None:
    user = client.get("/v1/users?limit=1").json()[0]
    found = client.get(f"/v1/users/{user}/recommendations?k=5").json()
    assert found == client.post("/v1/recommendations", json={"user": user, "k": 5}).json()
    shown = next(place for place in found["places"] if place["picture"])
    picture = client.get(shown["picture"])
    assert picture.headers["content-type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"
    why = client.post("/v1/explanations", json={"user": user, "item": shown["item_id"]}).json()
    assert sum(why["paths"].values()) == pytest.approx(shown["score"], abs=1e-4)
    taken = [each["item_id"] for each in client.get(f"/v1/users/{user}/history").json()][::-1]
    folded = client.post("/v1/recommendations", json={"history": taken, "k": 5}).json()
    assert folded["ranked_by"] == "history" and not {each["item_id"] for each in folded["places"]} & set(
        taken
    )
    rest = client.post(
        "/v1/recommendations", json={"user": user, "k": 4, "exclude": [found["places"][0]["item_id"]]}
    )
    assert [each["item_id"] for each in rest.json()["places"]] == [
        each["item_id"] for each in found["places"][1:]
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/v1/items/nothing/similar", None, 404, "there is no item 'nothing'"),
        ("GET", "/v1/items/nothing/picture", None, 404, "there is no item 'nothing'"),
        ("GET", "/v1/items/r0001/similar?by=smell", None, 404, "cannot be compared by 'smell'"),
        ("GET", "/v1/users/u/recommendations?k=0", None, 422, "k: "),
        ("GET", "/v1/users/u/recommendations?k=201", None, 422, "k: "),
        ("POST", "/v1/recommendations", {}, 422, "one of the two"),
        ("POST", "/v1/recommendations", {"user": "u", "kk": 3}, 422, "kk: "),
        ("POST", "/v1/recommendations", {"user": ""}, 422, "user: "),
        ("POST", "/v1/recommendations", {"history": ["x"] * 1001}, 422, "history: "),
        (
            "POST",
            "/v1/recommendations",
            {"user": "u", "where": {"colour": "red"}},
            404,
            "no attribute 'colour'",
        ),
        ("POST", "/v1/explanations", {"user": "u", "item": "r0001"}, 404, "there is no user 'u'"),
        ("GET", "/nowhere", None, 404, "Not Found"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    client: TestClient, method: str, path: str, body: object, status: int, words: str
) -> None:
    found = client.request(method, path, json=body) if body is not None else client.request(method, path)
    assert found.status_code == status and words in found.json()["detail"]


def test_a_new_item_is_listed_from_the_next_request_on(shop: Stage) -> None:
    holder = Holder(shop, "vbpr")
    client = TestClient(make_app(holder, max_upload_mb=1), base_url="http://localhost")
    bundle = holder.served.bundle
    picture = next(path for path in bundle.shelf.items["image"] if path)
    upload = {"image": ("cover.jpg", (bundle.shelf.root / picture).read_bytes(), "image/jpeg")}
    made = client.post("/v1/items", data={"item_id": "mine", "title": bundle.shelf.titles[0]}, files=upload)
    assert made.status_code == 201 and made.json()["modalities"] == ["image", "text"]
    assert made.json()["nearest"]["image"][0]["score"] == pytest.approx(1, abs=1e-4)
    user = next(iter(bundle.users))
    places = client.get(f"/v1/users/{user}/recommendations?k=100").json()["places"]
    (mine,) = [place for place in places if place["new"]]
    assert client.get(mine["picture"]).status_code == 200
    assert client.get("/health").json()["new_items"] == 1
    wrong = {"image": ("cover.jpg", b"\xff\xd8 no picture", "image/jpeg")}
    refused = client.post("/v1/items", data={"item_id": "other"}, files=wrong)
    assert refused.status_code == 422 and refused.json()["detail"].startswith("image: ")
    large = {"image": ("cover.jpg", b"\xff\xd8" + bytes(1_100_000), "image/jpeg")}
    assert client.post("/v1/items", data={"item_id": "other"}, files=large).status_code == 413
    endless = (bytes(100_000) for _ in range(30))
    stream = client.post("/v1/recommendations", content=endless, headers={"content-type": "application/json"})
    assert stream.status_code == 413, "also where no length is announced"
    assert client.get("/health").json()["new_items"] == 1
    holder.close()


def test_strangers_are_kept_out(shop: Stage) -> None:
    holder = Holder(shop, "vbpr")
    local = TestClient(make_app(holder), base_url="http://localhost")
    assert local.get("/health", headers={"host": "evil.example"}).status_code == 400
    assert (
        local.post(
            "/v1/recommendations", json={"user": "u"}, headers={"origin": "http://evil.example"}
        ).status_code
        == 403
    )
    assert (
        local.post(
            "/v1/recommendations", json={"user": "u"}, headers={"origin": "http://localhost"}
        ).status_code
        == 200
    )
    guarded = TestClient(make_app(holder, token=TOKEN, local=False), base_url="http://shop.example")
    assert guarded.get("/health").status_code == 200
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN[:-1]}):
        refused = guarded.get("/v1/users", headers=headers)
        assert refused.status_code == 401 and "Bearer TOKEN" in refused.json()["detail"]
    assert guarded.get("/v1/users", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    holder.close()


def test_counters_for_prometheus(client: TestClient) -> None:
    client.get("/v1/users/nobody/recommendations")
    text = client.get("/metrics").text
    assert 'mrs_requests_total{route="/v1/users/{user_id}/recommendations",status="200"}' in text
    assert 'mrs_lists_total{ranked_by="popularity"}' in text
    assert 'mrs_model_info{dataset="tiny",model="vbpr"' in text


def test_a_newer_model_takes_over_and_no_request_is_dropped_or_mixed(
    own_shop: Stage, closed: list[object]
) -> None:
    holder = Holder(own_shop, "vbpr")
    closed.append(holder)
    client = TestClient(make_app(holder), base_url="http://localhost", raise_server_exceptions=False)
    user = next(iter(holder.served.bundle.users))
    answers: list[tuple[int, str, tuple[str, ...]]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            found = client.get(f"/v1/users/{user}/recommendations?k=5")
            body = found.json()
            answers.append(
                (found.status_code, body["version"], tuple(each["item_id"] for each in body["places"]))
            )

    assert not holder.refresh(), "nothing has been made since"
    askers = [threading.Thread(target=ask) for _ in range(3)]
    for each in askers:
        each.start()
    first = holder.served.bundle.version
    given = own_shop.config.model_dump(mode="json", exclude_unset=True)
    for seed in (2, 3):
        other = stage_of(own_shop.home.root, **{**given, "seeds": [seed]})
        perform(other, ["trained/vbpr", "final/vbpr"])
        holder._stage = other  # the seed is in the settings, which a service reads once
        assert holder.refresh()
        perform(other, ["vectors/vbpr", "index/vbpr"])
        assert holder.refresh(), "the index that belongs to it"
        assert not holder.refresh()
    last = holder.served.bundle.version
    while not answers or answers[-1][1] != last[:16]:
        pass
    done.set()
    for each in askers:
        each.join()
    assert {status for status, _, _ in answers} == {200}
    assert {first[:16], last[:16]} <= {version for _, version, _ in answers} and first != last
    lists: dict[str, set[tuple[str, ...]]] = {}
    for _, version, places in answers:
        lists.setdefault(version, set()).add(places)
    assert all(len(each) == 1 for each in lists.values()), "one version has one list of a user"
    assert client.get("/health").json()["swaps"] == 4


def test_twenty_promotions_drop_and_mix_no_request(own_shop: Stage, closed: list[object]) -> None:
    """Two champions take turns, by promotion and by rollback, while three clients ask."""
    promote(own_shop, "most_pop", force=True, reason="a test")
    holder = Holder(own_shop, champion=champion_stage)
    closed.append(holder)
    client = TestClient(make_app(holder), base_url="http://localhost", raise_server_exceptions=False)
    user = next(iter(holder.served.bundle.users))
    answers: list[tuple[int, str, str, tuple[str, ...]]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.01):  # leaves the interpreter to the promotion now and then
            found = client.get(f"/v1/users/{user}/recommendations?k=5")
            body = found.json()
            items = tuple(each["item_id"] for each in body.get("places", ()))
            answers.append((found.status_code, body.get("model", ""), body.get("version", ""), items))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for each in askers:
        each.start()
    served = [holder.served.bundle.name]
    for turn in range(20):
        if turn % 2:
            rollback(own_shop)
        else:
            promote(own_shop, "knn_fusion", force=True, reason="a test")
        asked = len(answers)
        assert holder.refresh() and not holder.refresh()
        served.append(holder.served.bundle.name)
        while len(answers) < asked + 6 and all(each.is_alive() for each in askers):
            time.sleep(0.001)
    done.set()
    for each in askers:
        each.join()
    assert served == ["most_pop", *["knn_fusion", "most_pop"] * 10] and holder.swaps == 20
    assert {status for status, *_ in answers} == {200} and len(answers) >= 120
    lists: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for _, model, version, places in answers:
        lists.setdefault((model, version), set()).add(places)
    assert {model for model, _ in lists} == {"most_pop", "knn_fusion"}
    assert len(lists) == 2 and all(len(each) == 1 for each in lists.values()), (
        "one version has one list of a user"
    )


def test_a_named_model_or_window_is_served_beside_the_champion(own_shop: Stage, closed: list[object]) -> None:
    promote(own_shop, "most_pop", force=True, reason="a test")
    for holder, name in (
        (Holder(own_shop, champion=champion_stage), "most_pop"),
        (Holder(own_shop, "knn_fusion", champion=champion_stage), "knn_fusion"),
        (Holder(own_shop, window=own_shop.window, champion=champion_stage), leading_model(own_shop)),
    ):
        closed.append(holder)
        assert holder.served.bundle.name == name


def test_what_cannot_be_loaded_is_not_served_and_the_old_stays(own_shop: Stage, closed: list[object]) -> None:
    holder = Holder(own_shop, "vbpr")
    closed.append(holder)
    client = TestClient(make_app(holder), base_url="http://localhost")
    before = client.get("/health").json()
    artifact = own_shop.final.read("tiny", own_shop.window, "vbpr")
    with own_shop.final.writing(
        "tiny", own_shop.window, "vbpr", provenance=artifact.provenance, facts={}
    ) as folder:
        (folder / "seed=1").mkdir()
        (folder / "seed=1" / "config.json").write_text("{}")
    assert not holder.refresh()
    told = client.get("/health").json()
    assert told["status"] == "stale" and "config.json" in told["trouble"]
    assert told["version"] == before["version"]
    assert client.get("/v1/users/nobody/recommendations").status_code == 200


def test_it_holds_against_its_own_schema(shop: Stage) -> None:
    """A short run; the long one is in docs/serving.md."""
    holder = Holder(shop, "vbpr")
    api, _ = make_api(holder)
    schema = schemathesis.openapi.from_asgi("/openapi.json", api)

    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            unexpressed = (
                [positive_data_acceptance] if case.path == "/v1/items" else []
            )  # pictures that are none
            case.call_and_validate(excluded_checks=unexpressed)

        holds()
        tried += 1
    assert tried >= 9
    holder.close()
