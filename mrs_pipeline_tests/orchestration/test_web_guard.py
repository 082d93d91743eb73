"""The guard before Dagster's web server: what the UI itself asks passes, what another page or name asks does not."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from dagster._core.test_utils import instance_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from mrs_pipeline.orchestration.web import GuardedWebserver, guarded_command

ADDRESS = "http://127.0.0.1:3000"
SOCKET = "ws://127.0.0.1:3000/graphql"
MUTATION = (
    'mutation { logTelemetry(action: "x", metadata: "{}", clientTime: "1", clientId: "1") { __typename } }'
)
OWN = {
    "Origin": ADDRESS,
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture(scope="module")
def ui() -> Iterator[TestClient]:
    """Dagster's own server with the guard, of a home without definitions."""
    with instance_for_test() as instance, WorkspaceProcessContext(instance, None) as workspace:
        app = GuardedWebserver(workspace).create_asgi_app()
        yield TestClient(app, base_url=ADDRESS, follow_redirects=False)


@pytest.mark.parametrize("headers", [{}, OWN, {"Host": "localhost:3000", "Origin": "http://localhost:3000"}])
def test_the_ui_and_programs_of_this_machine_pass(ui: TestClient, headers: Mapping[str, str]) -> None:
    answer = ui.post("/graphql", json={"query": MUTATION}, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["data"]["logTelemetry"]["__typename"] == "LogTelemetrySuccess"


@pytest.mark.parametrize("headers", [{}, LINK, {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}])
def test_the_ui_can_be_opened_from_anywhere(ui: TestClient, headers: Mapping[str, str]) -> None:
    assert ui.get("/server_info", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8000"},  # another program of this machine
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {**LINK, "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_what_other_pages_ask_is_refused(ui: TestClient, foreign: Mapping[str, str]) -> None:
    for answer in (
        ui.post("/graphql", json={"query": MUTATION}, headers=foreign),
        ui.post("/report_asset_materialization/a", json={}, headers=foreign),
        ui.get("/server_info", headers=foreign),
    ):
        assert answer.status_code == 403
        assert answer.text == "a page of another address asked for this"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("headers", [{}, OWN, LINK])
@pytest.mark.parametrize("path", ["/graphql", "/graphql/"])
def test_graphql_is_asked_by_post_only(
    ui: TestClient, method: str, headers: Mapping[str, str], path: str
) -> None:
    """Also where a link leads there, or a browser says nothing of where a request comes from."""
    answer = ui.request(method, path, params={"query": MUTATION}, headers=headers)
    assert answer.status_code == 403
    assert method == "HEAD" or answer.text == "GraphQL is asked by POST only"


@pytest.mark.parametrize("path", ["/graphql", "/server_info", "/"])
def test_other_names_are_refused(ui: TestClient, path: str) -> None:
    """DNS rebinding: a page under a name of its own that leads to this machine."""
    answer = ui.post(path, headers={"Host": "evil.example:3000", "Origin": "http://evil.example:3000"})
    assert (answer.status_code, answer.text) == (400, "Invalid host header")


def test_subscriptions_of_other_pages_are_refused(ui: TestClient) -> None:
    with ui.websocket_connect(SOCKET, subprotocols=["graphql-ws"], headers=OWN) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json()["type"] == "connection_ack"
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        ui.websocket_connect(SOCKET, headers={"Origin": "http://evil.example"}),
    ):
        pass
    assert refused.value.code == 1008


def test_dagster_dev_starts_the_guarded_server_and_nothing_that_is_not_known() -> None:
    python, rest = "python", ["--host", "127.0.0.1"]
    guarded: Any = guarded_command([python, "-m", "dagster_webserver", *rest])
    assert guarded == [python, "-m", "mrs_pipeline.orchestration.web", *rest]
    daemon = [python, "-m", "dagster._daemon", "run"]
    assert guarded_command(daemon) == daemon
    with pytest.raises(RuntimeError, match="a process that is not known: python -m another"):
        guarded_command([python, "-m", "another"])
