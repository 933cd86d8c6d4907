"""Feast's feature server over the stores of the settings, for clients that cannot read the online store themselves."""

from __future__ import annotations

from plumbline.features.store import open_feature_store
from plumbline.settings import Settings


def serve(settings: Settings) -> None:
    """Answers online reads over HTTP until SIGTERM.

    Feast's own command wants a configuration file and replaces its only worker every 1,000 requests, which stalls
    callers for seconds; here the settings are the configuration and the worker stays.
    """
    open_feature_store(settings).serve(
        host=settings.features.server_host,
        port=settings.features.server_port,
        no_access_log=True,
        max_requests=0,
        max_requests_jitter=0,
    )
