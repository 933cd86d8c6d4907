"""Feast's DuckDB offline store, with views named relative to a folder.

A registry that several machines share must not hold one machine's paths. Feast resolves a relative path against
`repo_path` when it writes, but not when DuckDB reads (Feast 0.67): here it does in both. `repo_path` is the folder of
the computed views.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

from feast import FeatureView, FileSource, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.offline_store import RetrievalJob

OFFLINE_STORE = f"{__name__}.ViewsOfflineStore"
"""What a Feast configuration names this store by."""


class ViewsOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Feast finds it by its name."""

    type: Literal["plumbline.features.duckdb_offline.ViewsOfflineStore"] = OFFLINE_STORE  # type: ignore[assignment]


class ViewsOfflineStore(DuckDBOfflineStore):
    """DuckDB over Parquet files whose relative names lie under `repo_path`."""

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig, data_source: DataSource, *rest: Any, **named: Any
    ) -> RetrievalJob:
        """See Feast's `OfflineStore`."""
        return DuckDBOfflineStore.pull_latest_from_table_or_query(config, _located(data_source, config), *rest, **named)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig, data_source: DataSource, *rest: Any, **named: Any
    ) -> RetrievalJob:
        """See Feast's `OfflineStore`."""
        return DuckDBOfflineStore.pull_all_from_table_or_query(config, _located(data_source, config), *rest, **named)

    @staticmethod
    def get_historical_features(
        config: RepoConfig, feature_views: list[FeatureView], *rest: Any, **named: Any
    ) -> RetrievalJob:
        """See Feast's `OfflineStore`."""
        views = []
        for view in feature_views:
            located = copy.copy(view)
            located.batch_source = _located(view.batch_source, config)
            views.append(located)
        return DuckDBOfflineStore.get_historical_features(config, views, *rest, **named)


def _located(source: Any, config: RepoConfig) -> Any:
    if not isinstance(source, FileSource):
        return source
    located = copy.deepcopy(source)
    located.file_options.uri = FileSource.get_uri_for_file_path(config.repo_path, source.path)
    return located
