"""Finds the cluster: the pod's own, else the kubeconfig's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.errors import UserError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class Cluster:
    """A connection; nothing has been sent yet.

    Attributes:
        client: The official client's `ApiClient`.
        namespace: The pod's own, or the kubeconfig's.
        host: Address of the API server.
    """

    client: Any
    namespace: str
    host: str


def connect(context: str | None = None) -> Cluster:
    """Connects as the pod's service account where there is one, else by the kubeconfig.

    Args:
        context: Context of the kubeconfig; None is its current one.

    Raises:
        UserError: There is neither a service account nor a kubeconfig.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    # Repeating is the caller's work: its patience has an end that the settings name.
    configuration.retries = False
    namespace = _DEFAULT_NAMESPACE
    try:
        if context is None and "KUBERNETES_SERVICE_HOST" in os.environ and (_ACCOUNT / "token").is_file():
            config.load_incluster_config(client_configuration=configuration)
            namespace = (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
        else:
            config.load_kube_config(context=context, client_configuration=configuration)
            contexts, current = config.list_kube_config_contexts()
            chosen = current if context is None else next(each for each in contexts if each["name"] == context)
            namespace = chosen["context"].get("namespace", _DEFAULT_NAMESPACE)
    except (config.ConfigException, OSError) as error:
        raise UserError(f"No cluster is known ({error}). Set KUBECONFIG, or run inside the cluster.") from error
    return Cluster(client.ApiClient(configuration), namespace, configuration.host)
