"""The few requests that Jobs need, through the official client, as plain JSON.

Plain, because the client's classes know the fields of their own version only: a newer template would lose the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from plumbline.cluster.kubeconfig import Cluster, connect
from plumbline.cluster.waiting import sentence
from plumbline.errors import PlumblineError

_BATCH = ("batch", "v1")
_SECONDS = 10.0
_RETRIED = frozenset({0, 401, 408, 409, 429})
"""401 too: a token is renewed while the client lives, and that of a pod that is being deleted is void at once, when
its successor is to find the retraining as it is."""


class JobsAwayError(PlumblineError):
    """The Kubernetes API does not answer now, or asks for patience."""


class Jobs:
    """Jobs of one namespace.

    Args:
        namespace: None is the pod's own, else the kubeconfig's.
        cluster: A connection; None opens one.
    """

    def __init__(self, namespace: str | None, cluster: Cluster | None = None) -> None:
        self._cluster = cluster or connect()
        self._namespace = namespace or self._cluster.namespace

    def template(self, name: str) -> dict[str, Any]:
        """The CronJob.

        Raises:
            PlumblineError: It is not there, or may not be read.
            JobsAwayError: The API does not answer.
        """
        found = self._ask("get_namespaced_custom_object", "cronjobs", name)
        if found is None:
            raise PlumblineError(
                f"There is no CronJob {name} in namespace {self._namespace}: "
                "correct PLUMBLINE_CONTROLLER__JOB_TEMPLATE."
            )
        return found

    def get(self, name: str) -> dict[str, Any] | None:
        """The Job; None where there is none."""
        return self._ask("get_namespaced_custom_object", "jobs", name)

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Creates a Job; one of this name that is there already is taken for it."""
        made = self._ask("create_namespaced_custom_object", "jobs", body)
        if made is None:
            raise PlumblineError(f"The namespace {self._namespace} does not exist.")
        return made

    def delete(self, name: str) -> None:
        """Deletes a Job with its pods, if it is there.

        Raises:
            JobsAwayError: The API does not answer.
        """
        self._ask("delete_namespaced_custom_object", "jobs", name, propagation_policy="Background")

    def _ask(self, method: str, plural: str, *arguments: Any, **options: Any) -> dict[str, Any] | None:
        from kubernetes.client import ApiException, CustomObjectsApi
        from urllib3.exceptions import HTTPError

        call = getattr(CustomObjectsApi(self._cluster.client), method)
        try:
            found: dict[str, Any] = call(
                *_BATCH, self._namespace, plural, *arguments, _request_timeout=_SECONDS, **options
            )
        except ApiException as error:
            status = int(error.status or 0)
            if status == 404:
                return None
            if status in _RETRIED or status >= 500:
                raise JobsAwayError(f"The Kubernetes API answers {status} ({error.reason}).") from error
            raise PlumblineError(
                f"The Kubernetes API refused to {method.partition('_')[0]} {plural} in namespace "
                f"{self._namespace}: {status} {error.reason}. {_message(error)}"
            ) from error
        except HTTPError as error:
            raise JobsAwayError(f"The Kubernetes API does not answer: {sentence(error)}") from error
        return found


def job_from_template(cronjob: dict[str, Any], name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """A Job of the CronJob's template, its first container's arguments replaced.

    It belongs to the CronJob, so that it goes when the installation goes, but is not its run: the CronJob's limits
    of finished runs must not take it away.
    """
    template = copy.deepcopy(cronjob["spec"]["jobTemplate"])
    spec = template["spec"]
    spec["template"]["spec"]["containers"][0]["args"] = list(arguments)
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cronjob["metadata"]["name"],
        "uid": cronjob["metadata"]["uid"],
        "controller": False,
    }
    metadata = {key: value for key, value in template.get("metadata", {}).items() if key in ("labels", "annotations")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata, "name": name, "ownerReferences": [owner]},
        "spec": spec,
    }


def condition_of(job: dict[str, Any]) -> str | None:
    """How the Job ended, for a sentence; None while it runs."""
    for each in job.get("status", {}).get("conditions") or ():
        if each.get("status") == "True" and each.get("type") in ("Complete", "Failed"):
            said = " ".join(filter(None, (each.get("reason"), each.get("message"))))
            return "is complete" if each["type"] == "Complete" else f"failed ({said or 'no reason is given'})"
    return None


def _message(error: Any) -> str:
    import json

    try:
        return str(json.loads(error.body or "{}").get("message", ""))
    except ValueError:
        return ""
