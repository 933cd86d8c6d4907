"""Who may reach the controller: tokens, client certificates, and what is open to all."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificates import Authority, Issued
from controller_process import PAYLOAD, free_port, until
from loop_trainers import BlockedTrainer
from pydantic import ValidationError
from starlette.testclient import TestClient

from plumbline.controller.access import Guard, require_access
from plumbline.controller.app import create_app
from plumbline.controller.loop import Loop
from plumbline.controller.server import serve
from plumbline.controller.state import open_state
from plumbline.controller.tls import Certificates
from plumbline.errors import MissingInputError, SettingsError
from plumbline.settings import Settings, load_settings
from plumbline.settings.controller_access import ControllerAccessSettings

TOKEN = "one-token-of-the-controller-0001"
NEXT = "next-token-of-the-controller-002"
GUARDED = [
    ("POST", "/webhook/alertmanager"),
    ("GET", "/status"),
    ("GET", "/events"),
    ("GET", "/openapi.json"),
    ("GET", "/x"),
]
OPEN = [("GET", "/healthz"), ("GET", "/metrics")]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.fixture
def client(settings: Settings, token_file: Path) -> Iterator[TestClient]:
    guarded = load_settings(home=settings.home, controller={"access": {"token_file": str(token_file)}})
    state = open_state(guarded)
    app = Guard(create_app(guarded, state, Loop(guarded, state, BlockedTrainer())), guarded.controller)
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        _bearer(NEXT),
        _bearer(""),
        _bearer(TOKEN + "x"),
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ],
    ids=["none", "wrong", "empty", "longer", "basic", "no scheme"],
)
def test_without_the_token_nothing_is_told_and_nothing_read(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    def body() -> Iterator[bytes]:
        yield PAYLOAD.encode()

    answer = client.request(method, path, headers=headers, content=body() if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="plumbline-controller"')
    assert ("error=" in answer.headers["www-authenticate"]) is bool(headers), "RFC 6750, 3.1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/status", headers=_bearer(TOKEN)).json()["alerts"] == []


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_probes_and_prometheus_need_no_token(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 200


def test_with_the_token_alerts_are_taken(client: TestClient) -> None:
    assert client.post("/webhook/alertmanager", content=PAYLOAD, headers=_bearer(TOKEN)).status_code == 200
    lower = {"authorization": f"bearer {TOKEN}"}
    assert len(client.get("/status", headers=lower).json()["retrainings"]) == 1


def test_a_token_is_exchanged_without_a_restart(
    client: TestClient, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def allowed(token: str) -> bool:
        return client.get("/status", headers=_bearer(token)).status_code == 200

    assert (allowed(TOKEN), allowed(NEXT)) == (True, False)
    token_file.write_text(f"{TOKEN}\n{NEXT}\n")
    assert (allowed(TOKEN), allowed(NEXT)) == (True, True)
    # As Kubernetes does it: a link is swapped.
    (token_file.parent / "new").write_text(NEXT)
    (token_file.parent / "link").symlink_to(token_file.parent / "new")
    (token_file.parent / "link").rename(token_file)
    assert (allowed(TOKEN), allowed(NEXT)) == (False, True)
    for broken in ("", "short"):
        (token_file.parent / "new").write_text(broken)
        assert (allowed(NEXT), allowed(broken)) == (True, False)
    token_file.unlink()
    assert allowed(NEXT)
    assert "the old ones stay" in caplog.text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "controller.example.org"])
def test_beyond_loopback_it_does_not_start_open(
    settings: Settings, host: str, token_file: Path, tmp_path: Path
) -> None:
    def starts(**access: Any) -> None:
        require_access(load_settings(home=settings.home, controller={"host": host, "access": access}).controller)

    with pytest.raises(SettingsError, match="could start trainings") as refused:
        starts()
    for advised in ("controller.access.token_file", "client_ca_file", "controller.access.required to false"):
        assert advised in str(refused.value)
    ca = Authority(tmp_path, "ca")
    issued = ca.issue("server")
    tls = {"certificate_file": str(issued.certificate), "key_file": str(issued.key)}
    with pytest.raises(SettingsError):
        starts(**tls)  # nobody listens in, and anybody may post
    # Each of what the message advises.
    starts(token_file=str(token_file))
    starts(**tls, client_ca_file=str(ca.file))
    starts(required=False)


def test_on_loopback_it_is_open_unless_told_otherwise(settings: Settings) -> None:
    require_access(settings.controller)
    asked = load_settings(home=settings.home, controller={"access": {"required": True}})
    with pytest.raises(SettingsError):
        serve(asked, port=free_port())


@pytest.mark.parametrize("content", ["", "\n", "short", "a" * 23, "long-enough-but-then-one-is\nshort"])
def test_a_token_that_can_be_tried_out_is_refused(settings: Settings, token_file: Path, content: str) -> None:
    token_file.write_text(content)
    asked = load_settings(home=settings.home, controller={"access": {"token_file": str(token_file)}})
    with pytest.raises(SettingsError, match=r"at least 24 characters.*openssl rand -base64 32"):
        require_access(asked.controller)
    token_file.unlink()
    with pytest.raises(MissingInputError, match="token_file names"):
        require_access(asked.controller)


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ({"certificate_file": "a"}, "belong together"),
        ({"client_ca_file": "a"}, "needs certificate_file"),
        ({"required": False, "token_file": "a"}, "unset either"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(access: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ControllerAccessSettings(**access)


def test_a_file_that_is_missing_is_told(settings: Settings, tmp_path: Path) -> None:
    access = {"certificate_file": str(tmp_path / "a.crt"), "key_file": str(tmp_path / "a.key")}
    asked = load_settings(home=settings.home, controller={"access": access})
    with pytest.raises(MissingInputError, match=r"a\.crt, which is not there"):
        require_access(asked.controller)


@contextmanager
def _running(home: Path, **access: Path) -> Iterator[int]:
    """`plumbline controller run` beyond loopback, on a port."""
    port = free_port()
    named = {f"PLUMBLINE_CONTROLLER__ACCESS__{name.upper()}": str(value) for name, value in access.items()}
    environment = {**os.environ, "PLUMBLINE_HOME": str(home), "PLUMBLINE_CONTROLLER__HOST": "0.0.0.0", **named}
    command = [sys.executable, "-m", "plumbline", "controller", "run", "--port", str(port)]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield port
        finally:
            process.terminate()


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(f"{url}/healthz", verify=context).status_code == 200
    except httpx.TransportError:
        return False


def test_mutual_tls(tmp_path: Path, token_file: Path) -> None:
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    server, caller, stranger = ours.issue("server"), ours.issue("caller"), others.issue("stranger")

    def shows(issued: Issued | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(ours.file))
        if issued is not None:
            context.load_cert_chain(*issued.pair)
        return context

    with _running(
        tmp_path / "home",
        certificate_file=server.certificate,
        key_file=server.key,
        client_ca_file=ours.file,
        token_file=token_file,
    ) as port:
        url = f"https://127.0.0.1:{port}"
        until(lambda: _answers(url, shows(None)))  # probes have no certificate
        assert httpx.get(f"{url}/metrics", verify=shows(None)).status_code == 200
        without = httpx.post(f"{url}/webhook/alertmanager", content=PAYLOAD, verify=shows(None), headers=_bearer(TOKEN))
        assert (without.status_code, without.json()["title"]) == (403, "No certificate")
        assert httpx.get(f"{url}/status", verify=shows(caller)).status_code == 401, (
            "both are configured, both are asked"
        )
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/healthz", verify=shows(stranger))
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/healthz")
        with httpx.Client(verify=shows(caller), headers=_bearer(TOKEN)) as client:
            answer = client.post(f"{url}/webhook/alertmanager", content=PAYLOAD)
            assert answer.json()["alerts"][0]["action"] == "retraining"
            assert client.get(f"{url}/status").json()["controller"]["works"] is True


def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    issued = first.issue("server")
    certificates = Certificates(
        ControllerAccessSettings(certificate_file=issued.certificate, key_file=issued.key, client_ca_file=first.file)
    )

    async def trusted(ca: Authority) -> bool:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificates.context)
        port = server.sockets[0].getsockname()[1]
        try:
            context = ssl.create_default_context(cafile=str(ca.file))
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.close()
        except ssl.SSLError:
            return False
        finally:
            server.close()
        return True

    assert asyncio.run(trusted(first))
    second.issue("server")  # in place of the first one's
    asyncio.run(certificates.renew())
    assert (asyncio.run(trusted(first)), asyncio.run(trusted(second))) == (False, True)
    issued.key.write_text("half")
    asyncio.run(certificates.renew())
    assert "the old one stays" in caplog.text
    assert asyncio.run(trusted(second))


def test_files_that_are_no_certificates_are_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("no PEM")
    with pytest.raises(SettingsError, match=r"TLS cannot be set up.*all PEM"):
        Certificates(ControllerAccessSettings(certificate_file=tmp_path / "a", key_file=tmp_path / "b"))


def test_the_command_refuses_in_one_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "PLUMBLINE_HOME": str(tmp_path), "PLUMBLINE_CONTROLLER__HOST": "0.0.0.0"}
    command = [sys.executable, "-m", "plumbline", "controller", "run", "--port", str(free_port())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "plumbline: The controller listens on 0.0.0.0" in done.stderr
