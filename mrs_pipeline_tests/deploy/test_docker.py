"""The containers of deploy/docker: built where Docker is at hand, looked at where it is not; the guard, asked."""

import http.server
import re
import shutil
import socket
import subprocess
import threading
import time
import tomllib
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "docker"
WRITTEN_BY_HAND = {"passwords"}
"""Files of the folder that whoever starts the containers writes."""


def faults(compose: Mapping[str, Any], dockerfile: str) -> list[str]:
    """What is wrong with a compose file and a Dockerfile."""
    services = [fault for name in compose["services"] for fault in _service_faults(compose, name)]
    return services + _image_faults(dockerfile)


def _service_faults(compose: Mapping[str, Any], name: str) -> list[str]:
    service = compose["services"][name]
    found = [
        f"{name} publishes {port} beyond this machine"
        for port in service.get("ports", ())
        if not str(port).startswith("127.0.0.1:")
    ]
    for volume in service.get("volumes", ()):
        source = str(volume).partition(":")[0]
        here = source.removeprefix("./")
        if source.startswith(".") and here not in WRITTEN_BY_HAND and not (FOLDER / here).exists():
            found.append(f"{name} mounts {source}, which is not there")
        if not source.startswith(".") and source not in compose.get("volumes", {}):
            found.append(f"{name} mounts {source}, which is no volume")
    others = compose["services"]
    found += [f"{name} waits for {each}" for each in service.get("depends_on", ()) if each not in others]
    programs = {script.name for script in entry_points(group="console_scripts")}
    command = service.get("command")
    if command and command[0] not in programs:
        found.append(f"{name} starts {command[0]}, which nothing installs")
    return found


def _image_faults(dockerfile: str) -> list[str]:
    users = re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)
    found = [] if users and users[-1] not in ("root", "0") else ["the image runs as root"]
    found += [
        f"the image copies {source}, which is not there"
        for source in re.findall(r"^COPY (?!--from)(\S+) ", dockerfile, re.MULTILINE)
        if not (ROOT / source).exists()
    ]
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for group in re.findall(r"\.whl\)\[([\w,]+)\]", dockerfile):
        found += [f"the image installs {extra}" for extra in group.split(",") if extra not in extras]
    return found


def _compose() -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / "compose.yaml").read_text()))


def test_nothing_is_wrong_with_the_files() -> None:
    assert faults(_compose(), (FOLDER / "Dockerfile").read_text()) == []
    (server,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text())["load_from"]
    assert server["grpc_server"]["host"] in _compose()["services"]
    assert server["grpc_server"]["location_name"] == "mrs_pipeline"  # as the command line knows it
    assert "http://web:3000" in (FOLDER / "guard.conf").read_text()


@pytest.mark.parametrize(
    ("service", "change", "fault"),
    [
        ("web", {"ports": ["3000:3000"]}, "web publishes 3000:3000 beyond this machine"),
        ("web", {"depends_on": ["cod"]}, "web waits for cod"),
        ("guard", {"volumes": ["./gard.conf:/x:ro"]}, "guard mounts ./gard.conf, which is not there"),
        ("code", {"volumes": ["house:/home"]}, "code mounts house, which is no volume"),
        ("daemon", {"command": ["dagster-deamon"]}, "daemon starts dagster-deamon, which nothing installs"),
    ],
)
def test_a_planted_fault_in_the_services_is_found(service: str, change: dict[str, Any], fault: str) -> None:
    compose = _compose()
    compose["services"][service] |= change
    assert faults(compose, (FOLDER / "Dockerfile").read_text()) == [fault]


def test_a_planted_fault_in_the_image_is_found() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    planted = text.replace("USER mrs", "USER root").replace("COPY constraints.txt", "COPY constraint.txt")
    assert faults(_compose(), planted.replace("[serve,", "[servant,")) == [
        "the image runs as root",
        "the image copies constraint.txt, which is not there",
        "the image installs servant",
    ]


@pytest.mark.slow
def test_the_image_is_built() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no Docker that answers")
    command = ["docker", "build", "-f", str(FOLDER / "Dockerfile"), "-t", "mrs-pipeline-test", str(ROOT)]
    assert subprocess.run(command).returncode == 0
    told = subprocess.run(
        ["docker", "run", "--rm", "mrs-pipeline-test", "mrs", "--help"], capture_output=True, text=True
    )
    assert told.returncode == 0 and "recommend" in told.stdout


class _Web(http.server.BaseHTTPRequestHandler):
    """Stands for Dagster's web server: answers everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *told: Any) -> None:
        """Nothing."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The guard in front of a web server; its address."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("there is no nginx here")
    folder = tmp_path_factory.mktemp("guard")
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    port = _free_port()
    text = (
        (FOLDER / "guard.conf").read_text().replace("http://web:3000", f"http://127.0.0.1:{web.server_port}")
    )
    text = text.replace("listen 3000", f"listen 127.0.0.1:{port}")
    (folder / "guard.conf").write_text(text.replace("/etc/nginx/passwords", str(folder / "passwords")))
    (folder / "passwords").write_text("me:{PLAIN}secret\n")
    places = "".join(
        f"{name}_temp_path tmp; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid nginx.pid; error_log error.log; events {{}} "
        f"http {{ access_log off; {places} include {folder}/guard.conf; }}"
    )
    server = subprocess.Popen([nginx, "-p", f"{folder}/", "-c", "nginx.conf"])
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(timeout=20)
    web.shutdown()


def _status(address: str, *, password: bool = True, post: bool = False, **headers: str) -> int:
    request = urllib.request.Request(address, data=b"{}" if post else None)
    if password:
        request.add_header("Authorization", f"Basic {b64encode(b'me:secret').decode()}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_the_guard_lets_through_whoever_has_the_password_and_nobody_s_page(guard: str) -> None:
    graphql = f"{guard}/graphql"
    assert _status(guard) == 200
    assert _status(graphql, post=True) == 200
    assert _status(graphql, post=True, Origin=guard) == 200
    assert _status(guard, password=False) == 401
    assert _status(guard, Host="evil.example") == 421
    assert _status(graphql, post=True, Origin="http://evil.example") == 403
    assert _status(graphql, post=True, Sec_Fetch_Site="cross-site") == 403
    for path in ("/graphql?query=mutation", "/graphql/?query=mutation", "//graphql?query=mutation"):
        assert _status(guard + path) == 403
    assert _status(graphql, Upgrade="websocket", Connection="upgrade") == 200
    assert _status(graphql, Upgrade="websocket", Connection="upgrade", Origin="http://evil.example") == 403
