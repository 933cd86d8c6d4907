"""The chart on a cluster: from `helm install` to a first prediction, then an upgrade and a rollback under load.

    python benchmarks/cluster.py --values helm/plumbline/values-lite.yaml [--values mine.yaml] [--url URL]

Needs helm, kubectl and a kubeconfig. The release must not be there yet, and stays. The Service is asked at its cluster
address, which nodes reach; from elsewhere give `--url` (an ingress, a node port). The upgrade changes a setting and the
alias of the served model.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from plumbline.process.children import plumbline_line

PATIENCE_SECONDS = 1200
POSTING = {
    "posting_id": "first", "event_timestamp": "2026-05-20T00:00:00Z", "company": "Example", "board": "example.org",
    "title": "Warehouse worker", "description": "Loads and unloads lorries, keeps the stock records.",
}  # fmt: skip
ALIAS = "benchmark"
NAME_CHAMPION = f"""
import mlflow
from plumbline.settings import load_settings
tracking = load_settings().tracking
client = mlflow.MlflowClient(tracking.uri, tracking.uri)
champion = client.get_model_version_by_alias(tracking.model_name, "champion")
client.set_registered_model_alias(tracking.model_name, "{ALIAS}", champion.version)
"""
CHANGE = ("--set", f"serving.modelAlias={ALIAS}", "--set", "settings.serving.alias_poll_seconds=3")


def run(*words: str, env: dict[str, str] | None = None) -> str:
    """Runs a command to its end and gives what it prints."""
    done = subprocess.run(words, check=False, capture_output=True, text=True, env={**os.environ, **(env or {})})
    if done.returncode != 0:
        sys.exit(f"`{' '.join(words[:6])} ...` ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


class Release:
    """One release of the chart."""

    def __init__(self, name: str, namespace: str, values: list[str], url: str | None) -> None:
        self.name, self.namespace, self.url = name, namespace, url
        self.values = [word for path in values for word in ("--values", path)]

    def helm(self, *words: str) -> float:
        """Seconds that a helm command takes."""
        start = time.monotonic()
        run("helm", "--namespace", self.namespace, *words)
        return round(time.monotonic() - start, 1)

    def find(self, kind: str, component: str | None = None) -> list[dict[str, Any]]:
        """The release's objects of a kind."""
        labels = f"app.kubernetes.io/instance={self.name}"
        labels += f",app.kubernetes.io/component={component}" if component else ""
        words = ("kubectl", "--namespace", self.namespace, "get", kind, "--selector", labels, "--output", "json")
        return list(json.loads(run(*words))["items"])

    def address(self) -> str:
        """Where the endpoint is asked."""
        if self.url is None:
            spec = self.find("services", "serving")[0]["spec"]
            self.url = f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"
        return self.url

    def key(self) -> str | None:
        """Key of the client `default`; None where the release has made none."""
        secrets = self.find("secrets", "serving-keys")
        return base64.b64decode(secrets[0]["data"]["default"]).decode() if secrets else None

    def install(self) -> float:
        """Seconds until the Service has answered a first posting."""
        start = time.monotonic()
        self.helm("install", self.name, "helm/plumbline", "--create-namespace", *self.values)
        key = self.key()
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        while time.monotonic() - start < PATIENCE_SECONDS:
            try:
                answer = httpx.post(f"{self.address()}/v1/classify", json=POSTING, headers=headers, timeout=5)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == httpx.codes.OK:
                return round(time.monotonic() - start, 1)
            time.sleep(1)
        sys.exit(f"No prediction within {PATIENCE_SECONDS} s. Look at the pods of the namespace {self.namespace}.")

    def restarts(self) -> int:
        """Restarts of all containers."""
        statuses = [status for pod in self.find("pods") for status in pod["status"].get("containerStatuses", [])]
        return sum(status["restartCount"] for status in statuses)

    def name_champion(self) -> None:
        """Gives the champion a further alias."""
        pod = self.find("pods", "controller")[0]["metadata"]["name"]
        python = ("/opt/plumbline/bin/python", "-c", NAME_CHAMPION)
        run("kubectl", "--namespace", self.namespace, "exec", pod, "--", *python)


def under_load(release: Release, rate: float, seconds: float) -> dict[str, Any]:
    """Upgrades and rolls back while an open loop of requests goes on."""
    release.name_champion()
    with tempfile.TemporaryDirectory() as home:
        env = {"PLUMBLINE_HOME": home}
        if (key := release.key()) is not None:
            env["PLUMBLINE_SERVING__ACCESS__API_KEY"] = key
        run(*plumbline_line("data", "ingest", "--generate", "--rows", "2000", "--weeks", "8"), env=env)
        load = subprocess.Popen(
            plumbline_line("load", "run", "--url", release.address(), "--rate", str(rate), "--duration", str(seconds),
                           "--json"),
            env={**os.environ, **env}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(10)
        upgraded = release.helm(
            "upgrade", release.name, "helm/plumbline", *release.values, *CHANGE, "--wait", "--timeout", "10m"
        )
        rolled_back = release.helm("rollback", release.name, "--wait", "--timeout", "10m")
        done_in_time = load.poll() is None
        figures = json.loads(load.communicate()[0])
    kept = ("sent", "answered", "errors", "errors_by_kind", "rate", "p50_ms", "p99_ms", "max_ms", "degraded")
    return {
        "upgrade_seconds": upgraded,
        "rollback_seconds": rolled_back,
        "load_outlasted_both": done_in_time,
        **{name: figures[name] for name in kept},
    }


def main() -> None:
    """Runs the benchmark; prints one JSON object and keeps it in build/bench/cluster.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", default="plumbline")
    parser.add_argument("--namespace", default="plumbline")
    parser.add_argument("--values", action="append", default=[], metavar="FILE")
    parser.add_argument("--url", default=None, help="address of the endpoint; default: the Service's cluster address")
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=180.0, help="of load; longer than upgrade and rollback take")
    arguments = parser.parse_args()
    release = Release(arguments.release, arguments.namespace, arguments.values, arguments.url)

    sys.stderr.write("install, until the first prediction ...\n")
    result: dict[str, Any] = {"first_prediction_seconds": release.install(), "restarts": release.restarts()}
    sys.stderr.write(f"upgrade and rollback under {arguments.rate:.0f} requests/s ...\n")
    result |= under_load(release, arguments.rate, arguments.seconds)
    out = Path("build/bench/cluster.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
