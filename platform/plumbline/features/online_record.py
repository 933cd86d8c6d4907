"""The record of what a view's online rows are: in the object store, where every pod finds it.

`features/online/<project>/<view>/<store>/<number>.parquet` holds the known rows (see `online_rows`). Which of them is
true is said by the online store itself: a token in it names the store and the number. So a store that has lost its
rows, was put back from a backup, or is another one, is never taken for what a record says.
"""

from __future__ import annotations

import io
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.errors import MissingInputError
from plumbline.storage import ObjectStore


class OnlineRecord:
    """Records of one view.

    Args:
        objects: Where they lie.
        project: Feast project.
        view: Name of the view.
    """

    def __init__(self, objects: ObjectStore, project: str, view: str) -> None:
        self._objects = objects
        self._root = f"features/online/{project}/{view}"

    def load(self, token: str | None) -> pa.Table | None:
        """The known rows that a token names; None where there is no such record, or it cannot be read."""
        if token is None:
            return None
        try:
            return pq.read_table(io.BytesIO(self._objects.get(self._key(token))))
        except (MissingInputError, pa.ArrowInvalid):
            return None

    def save(self, rows: pa.Table, after: str | None) -> str:
        """Writes known rows under a new token.

        Args:
            rows: The known rows.
            after: The token before, or None for a store that has none.

        Returns:
            The new token.
        """
        store, _, number = (after or "").partition("/")
        token = f"{store}/{int(number) + 1:08d}" if number.isdecimal() else f"{uuid.uuid4().hex}/{1:08d}"
        content = io.BytesIO()
        pq.write_table(rows, content, compression="zstd")
        self._objects.put(self._key(token), content.getvalue())
        return token

    def prune(self, token: str) -> None:
        """Takes away the other records of the token's store."""
        kept = self._key(token)
        for key in self._objects.list(f"{self._root}/{token.partition('/')[0]}/"):
            if key != kept:
                self._objects.delete(key)

    def _key(self, token: str) -> str:
        return f"{self._root}/{token}.parquet"
