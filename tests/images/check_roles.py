"""Each role's commands in its own image: user 10001, read-only root. `make image-check`; not part of `make test`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.images.container import HOME, USER, Container, Image, started
from tests.images.material import ROLES, Run, free_port, parse_json, pins, posting, project_version

pytestmark = pytest.mark.timeout(1200)

_LIST_PACKAGES = (
    "import importlib.metadata as m, json; "
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)
_SERVICES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("features", ("plumbline", "features", "serve"), "PLUMBLINE_FEATURES__SERVER_PORT", "/health"),
    ("monitoring", ("plumbline", "monitor", "exporter"), "PLUMBLINE_MONITORING__EXPORTER_PORT", "/metrics"),
    ("monitoring", ("plumbline", "monitor", "ui"), "PLUMBLINE_MONITORING__UI_PORT", "/"),
    ("controller", ("plumbline", "controller", "run"), "PLUMBLINE_CONTROLLER__PORT", "/healthz"),
    ("serving", ("plumbline", "serve", "run"), "PLUMBLINE_SERVING__PORT", "/readyz"),
)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _wait(url: str, container: Container, bundle: Path) -> float:
    """Waits until `url` answers 200; returns the seconds that it took."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < 300:
        said = (bundle / "log").read_text(encoding="utf-8")
        assert container.process.poll() is None, f"ended with {container.process.returncode}:\n{said[-4000:]}"
        try:
            if httpx.get(url, timeout=10).status_code == 200:
                return waited
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"{url} did not answer:\n{said[-4000:]}")


def _end(container: Container, bundle: Path, name: str, seconds: float) -> None:
    """Reports what the service took, and stops it as a node does."""
    resident, proportional = (size // 2**20 for size in container.memory())
    sys.stdout.write(f"\n{name}: ready after {seconds:.0f} s, {resident} MiB resident, {proportional} MiB PSS\n")
    code = container.stop()
    said = (bundle / "log").read_text(encoding="utf-8")
    assert code == 0, said[-4000:]
    assert "Read-only file system" not in said
    assert "Permission denied" not in said


@pytest.mark.parametrize("role", ROLES)
def test_image_holds_its_lock_and_nothing_else(role: str, image: Callable[[str], Image], run: Run) -> None:
    config = image(role).config
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["plumbline"]
    assert config["Labels"]["org.opencontainers.image.version"] == project_version()
    assert not any(name.startswith("PIP_") for name in image(role).environment)

    installed = parse_json(run(role, "python", "-c", _LIST_PACKAGES))
    assert isinstance(installed, dict)
    versions = {_normal(name): version.split("+")[0] for name, version in installed.items()}
    assert versions.pop("plumbline") == project_version()
    assert versions == {_normal(name): version for name, version in pins(role).items()}


@pytest.mark.parametrize("role", ROLES)
def test_process_is_somebody_and_owns_no_code(role: str, run: Run) -> None:
    # A file that is newer than the build's fixed time would make two builds differ.
    script = (
        "id -un; echo ~; plumbline version; ! command -v gcc; ls /opt/plumbline/bin | grep -x pip || true;"
        " find /opt /etc/plumbline -xdev -user 10001; find /opt/plumbline -name '*.py' -newermt 2026-01-02 | head -1"
    )
    assert run(role, "sh", "-ec", script).split() == ["plumbline", "/tmp", project_version()]


@pytest.mark.parametrize(("role", "arguments", "variable", "path"), _SERVICES, ids=str)
def test_service_answers_and_ends_well(
    role: str,
    arguments: tuple[str, ...],
    variable: str,
    path: str,
    image: Callable[[str], Image],
    home: Path,
    bundle: Path,
) -> None:
    address = f"http://127.0.0.1:{(port := free_port())}"
    with started(image(role), bundle, arguments, binds={HOME: home}, environment={variable: str(port)}) as container:
        seconds = _wait(address + path, container, bundle)
        if role == "serving":
            answer = httpx.post(f"{address}/v1/classify", json=posting(), timeout=30)
            assert answer.status_code == 200, answer.text
            assert answer.json()["label"]
        _end(container, bundle, " ".join(arguments), seconds)


def test_tracking_server_asks_for_a_password(image: Callable[[str], Image], bundle: Path, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{(port := free_port())}"
    (config := tmp_path / "config").mkdir()
    (config / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{HOME}/auth.db\n", encoding="utf-8"
    )
    line = ("mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1", "--port", str(port))
    line += ("--workers", "1", "--backend-store-uri", f"sqlite:///{HOME}/mlflow.db", "--serve-artifacts")
    line += ("--artifacts-destination", f"{HOME}/artifacts")
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": "/etc/plumbline/auth.ini",
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "correct horse battery",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "image-check",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with started(
        image("tracking"), bundle, line, binds={"/etc/plumbline": config}, environment=environment
    ) as container:
        seconds = _wait(f"{address}/health", container, bundle)
        url = f"{address}/api/2.0/mlflow/experiments/search?max_results=5"
        assert httpx.get(url, timeout=30).status_code == 401
        assert httpx.get(url, auth=("admin", "correct horse battery"), timeout=30).status_code == 200
        _end(container, bundle, "mlflow server", seconds)


def test_monitors_judge_a_window(run: Run, home: Path) -> None:
    run("monitoring", "plumbline", "monitor", "run", "--last", "14d", home=home)


def test_database_clients_load(run: Run) -> None:
    for role in ("tracking", "features", "pipelines", "serving", "monitoring"):
        run(role, "python", "-c", "import psycopg; assert psycopg.pq.__impl__ == 'binary'")


def test_serving_is_free_of_the_pipelines_library(run: Run) -> None:
    script = "import importlib.util as u; assert u.find_spec('kfp') is None and u.find_spec('evidently') is None"
    run("serving", "python", "-c", script)
