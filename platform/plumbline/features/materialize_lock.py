"""One materialisation at a time: two that write different rows at once would leave a mixture that neither knows."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from plumbline import paths
from plumbline.errors import DependencyError
from plumbline.locks import exclusive, try_exclusive
from plumbline.settings import Settings

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_WAITING = "Another process materialises features of this installation; waiting for its end."


@contextmanager
def only_materialization(settings: Settings) -> Iterator[None]:
    """Waits until no other process materialises, then keeps others waiting for the length of the block.

    The lock lives where the registry does: in its Postgres, for every pod, else in a file under `home`. However the
    process ends, its server or kernel drops the lock. A registry on another server has the lock of the file only:
    there two pods at once are noticed when they end (see `materialize`).

    Raises:
        DependencyError: The registry's database does not answer.
    """
    url = settings.features.registry_url
    if url is not None and url.get_secret_value().startswith("postgres"):
        with _in_postgres(url.get_secret_value(), settings.features.project):
            yield
        return
    with _in_file(paths.features_dir(settings) / ".materialize.lock"):
        yield


@contextmanager
def _in_file(path: Path) -> Iterator[None]:
    with try_exclusive(path) as held:
        if held:
            yield
            return
    _log.warning(_WAITING)
    with exclusive(path):
        yield


@contextmanager
def _in_postgres(url: str, project: str) -> Iterator[None]:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.pool import NullPool

    digest = hashlib.sha256(f"plumbline materialize {project}".encode()).digest()
    key = {"key": int.from_bytes(digest[:8], signed=True)}
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(engine.connect())
            told = False
            while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar():
                if not told:
                    _log.warning(_WAITING)
                    told = True
                time.sleep(_POLL_SECONDS)
        except OperationalError as error:
            raise DependencyError(
                f"The feature registry's database does not answer: {error.orig}. Check features.registry_url."
            ) from error
        yield
