"""LitServe, batched: `decode_request`, `batch`, `predict`, `unbatch`, `encode_response`.

Reference: LitServe 0.2.x documentation, "Batching" and `LitServer` ("fast_queue", for many small requests). One worker,
one HTTP server. The options come from the command line, so that each of them can be measured.
"""

from __future__ import annotations

import argparse
from typing import Any

import litserve as ls

from benchmarks.serving.servers.champion import champion, classify


class BatchedPostings(ls.LitAPI):
    """Answers batches."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the signature is LitServe's
        """Loads the model, once in the worker."""
        self.model = champion()

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe takes a type for a schema
        """The JSON of a posting is what the model takes."""
        return request

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The model takes a list."""
        return inputs

    def predict(self, x: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers a batch."""
        return classify(self.model, x)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The model gives a list."""
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """What goes out as JSON."""
        return output


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-batch-size", type=int, required=True)
    parser.add_argument("--batch-timeout", type=float, required=True, help="seconds")
    parser.add_argument("--fast-queue", action="store_true")
    options = parser.parse_args()
    api = BatchedPostings(max_batch_size=options.max_batch_size, batch_timeout=options.batch_timeout)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=options.fast_queue)
    server.run(
        host="127.0.0.1",
        port=options.port,
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
