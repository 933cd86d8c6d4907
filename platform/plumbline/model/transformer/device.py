"""Where the encoder computes: on this process's GPU, with its kernels recorded, or on the CPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from plumbline.errors import SettingsError
from plumbline.model.transformer.bert import Bert
from plumbline.model.transformer.shapes import pieces
from plumbline.model.transformer.tokens import Tokens
from plumbline.settings.model import RuntimeSettings

_log = logging.getLogger(__name__)

_CAPACITIES: Final = (1, 2, 4, 8, 16, 32, 64, 128)
"""Rows that kernels are recorded for. Larger batches go in pieces of the last."""

_WARM_UPS: Final = 3
"""Runs before a recording, in which the libraries choose their kernels (PyTorch's notes on CUDA graphs)."""


class DeviceEncoder:
    """A `Bert` on its device. Safe to share between threads: with recorded kernels, which have one input, by turns.

    Args:
        encoder: The encoder; its weights are copied to the device.
        buckets: Lengths that texts are padded to, tokens.
        runtime: Device, type of numbers, recording.

    Raises:
        SettingsError: `cuda` was asked for, and this process sees no GPU.
    """

    def __init__(self, encoder: Bert, buckets: Sequence[int], runtime: RuntimeSettings) -> None:
        if runtime.device == "cuda" and not torch.cuda.is_available():
            raise SettingsError(
                "model.runtime.device is cuda, and this process sees no GPU. Give the replica one "
                "(serving.num_gpus) and the image with CUDA, or set the device to auto."
            )
        gpu = runtime.device == "cuda" or (runtime.device == "auto" and torch.cuda.is_available())
        self.device = torch.device("cuda" if gpu else "cpu")
        self.dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(
            runtime.dtype, torch.bfloat16 if gpu else torch.float32
        )
        self._buckets = tuple(buckets)
        self._encoder = encoder.to(self.device, self.dtype).eval().requires_grad_(False)
        self._recorded: dict[tuple[int, int], _Recording] = {}
        self._turn = threading.Lock()
        if gpu and runtime.cuda_graphs:
            self._record()

    @property
    def recorded(self) -> bool:
        """Whether kernels are replayed."""
        return bool(self._recorded)

    def embed(self, tokens: Tokens) -> NDArray[np.float32]:
        """Mean-pooled embeddings, shape [rows, width]."""
        embeddings = np.zeros((len(tokens), self._encoder.shape.width), dtype=np.float32)
        waiting = []
        with self._turn if self._recorded else nullcontext():
            for piece in pieces(tokens, self._buckets, _CAPACITIES if self._recorded else None):
                ids, lengths = torch.from_numpy(piece.ids), torch.from_numpy(piece.lengths)
                waiting.append((piece.rows, self._run(ids, lengths)))
        # Only now does anyone wait for the GPU.
        for rows, pooled in waiting:
            embeddings[rows] = pooled[: len(rows)].cpu().numpy()
        return embeddings

    def _run(self, ids: Tensor, lengths: Tensor) -> Tensor:
        recording = self._recorded.get((ids.shape[0], ids.shape[1]))
        if recording is not None:
            return recording.replay(ids, lengths)
        with torch.inference_mode():
            return encoded(self._encoder, ids.to(self.device), lengths.to(self.device))

    def _record(self) -> None:
        """Records every shape, largest first, so that the smaller ones use the same memory.

        Where a driver or a library cannot, the encoder launches its kernels one by one, and says so.
        """
        pool = None
        recorded: dict[tuple[int, int], _Recording] = {}
        try:
            for length in reversed(self._buckets):
                for rows in reversed(_CAPACITIES):
                    recording = _Recording(self._encoder, rows, length, pool)
                    pool = recording.pool
                    recorded[rows, length] = recording
        except RuntimeError:
            _log.exception(
                "CUDA graphs could not be recorded: small batches will take several times as long. "
                "Correct the driver, or set model.runtime.cuda_graphs to false to load without this message."
            )
            return
        self._recorded = recorded


def encoded(encoder: nn.Module, ids: Tensor, lengths: Tensor) -> Tensor:
    """Mean-pooled embeddings of padded texts, shape [rows, width]."""
    present = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
    # Without padding the attention needs no mask, and has a faster kernel; a look at the values would stall a GPU.
    whole = ids.device.type == "cpu" and bool(present.all())
    return encoder(ids, None if whole else present)  # type: ignore[no-any-return]


class _Recording:
    """The encoder's kernels for one shape, as a CUDA graph."""

    def __init__(self, encoder: Bert, rows: int, length: int, pool: Any) -> None:
        self._ids = torch.zeros(rows, length, dtype=torch.int64, device="cuda")
        self._lengths = torch.ones(rows, dtype=torch.int64, device="cuda")
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                encoded(encoder, self._ids, self._lengths)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self._graph, pool=pool):
            self._pooled = encoded(encoder, self._ids, self._lengths)
        self.pool = self._graph.pool()

    def replay(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The embeddings; copied, since the next replay of any shape writes over them."""
        self._ids.copy_(ids)
        self._lengths.copy_(lengths)
        self._graph.replay()
        return self._pooled.clone()
