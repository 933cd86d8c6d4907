"""Run by test_killed_proxy: the application as a Ray cluster runs it, behind Ray's own proxy, which is killed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil
from fault_clients import Clients
from fault_replica import free_port

from plumbline.settings import load_settings
from serving.ray_cluster import private_ray, session_folder


def main(posting: Path) -> None:
    settings = load_settings()
    with session_folder() as folder, private_ray(settings, folder):
        from ray import serve

        from serving.deployment import build

        port = free_port()
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(build({}), route_prefix="/")
        with Clients(f"http://127.0.0.1:{port}", "proxy", posting=json.loads(posting.read_text())) as clients:
            clients.wait_for(lambda seen: seen.status == 200, count=50, within=60)
            _proxy().kill()
            killed = time.monotonic()
            clients.wait_for(lambda seen: seen.status == 200, count=50, since=killed + 1, within=120)
    # Ray is stopped in order now: its replica has shipped its last segment.
    result = {
        "outcomes": clients.outcomes(),
        "errors": sorted({seen.error.partition("(")[0] for seen in clients.seen if not seen.status}),
        "answered": clients.answered,
    }
    sys.stdout.write("\n" + json.dumps(result))


def _proxy() -> psutil.Process:
    (found,) = [child for child in psutil.Process().children(recursive=True) if "ProxyActor" in child.name()]
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
