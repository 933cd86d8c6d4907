"""Retrains in Kubernetes Jobs made from the template of a suspended CronJob. A Job goes on without the controller."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from plumbline.cluster.job import JobAnswer, read_answer
from plumbline.controller.jobs import Jobs, JobsAwayError, condition_of, created_at, job_from_template
from plumbline.controller.process import CommandTrainer
from plumbline.controller.trainer import (
    Attempt,
    Job,
    Outcome,
    ReleaseStep,
    StoppedError,
    outcome_of,
    prepare_arguments,
    training_arguments,
)
from plumbline.errors import DependencyError, PlumblineError
from plumbline.settings import Settings

_LONGEST_NAME = 63
ANSWERS = "controller/jobs/"


class KubernetesTrainer:
    """One Job per step. What it came to is read from the object store, so that a Job that is gone is not missed.

    Args:
        settings: Name the template, and the object store.
        jobs: The cluster; None is the one that the pod runs in, or the kubeconfig's.
    """

    def __init__(self, settings: Settings, jobs: Jobs | None = None) -> None:
        self._settings = settings
        self._known_jobs = jobs
        self._template = settings.controller.job_template or ""
        self._stopping = threading.Event()
        # A promotion or a release moves aliases: seconds, in a child process of the controller.
        self._commands = CommandTrainer(settings)

    @property
    def resumes(self) -> bool:
        """See `Trainer.resumes`."""
        return True

    def prepare(self, snapshot: str, as_of: datetime, *, attempt: Attempt) -> None:
        """See `Trainer.prepare`."""
        self._run("features", prepare_arguments(self._settings, snapshot, as_of), attempt)

    def train(self, snapshot: str, as_of: datetime, *, reason: str, promote: bool, attempt: Attempt) -> Outcome:
        """See `Trainer.train`."""
        words = training_arguments(self._settings, snapshot, as_of, reason=reason, promote=promote, key=attempt.name)
        return outcome_of(self._run("training", words, attempt))

    def promote(self, version: str, reason: str, *, attempt: Attempt) -> None:
        """See `Trainer.promote`."""
        self._commands.promote(version, reason, attempt=attempt)

    def release(self, version: str, reason: str, *, attempt: Attempt) -> ReleaseStep:
        """See `Trainer.release`."""
        return self._commands.release(version, reason, attempt=attempt)

    def stop(self) -> None:
        """See `Trainer.stop`: the Job goes on, and is taken up again."""
        self._stopping.set()
        self._commands.stop()

    @property
    def _jobs(self) -> Jobs:
        if self._known_jobs is None:
            self._known_jobs = Jobs(self._settings.controller.namespace)
        return self._known_jobs

    def _name(self, step: str, attempt: Attempt) -> str:
        tail = f"-{attempt.name}-{step}"
        return f"{self._template[: _LONGEST_NAME - len(tail)]}{tail}"

    def _run(self, step: str, words: Sequence[str], attempt: Attempt) -> dict[str, Any]:
        """Asks again and again until the Job's answer is there; whatever is away meanwhile may come back."""
        name = self._name(step, attempt)
        key = f"{ANSWERS}{name}.json"
        timeout = self._settings.controller.training_timeout_seconds
        started = datetime.now(UTC)
        away: Exception | None = None
        there = attempt.job == name
        while True:
            try:
                answer = read_answer(self._settings, key)
                if answer is not None:
                    return _result(answer, words, name)
                job = self._jobs.get(name)
                if job is None:
                    if there:
                        # Its answer may have come between the two questions.
                        self._require_answer(key, name, "was deleted")
                        continue
                    job = self._create(name, key, words)
                if not there:
                    there = True
                    attempt.on_start(Job(name))
                started = created_at(job) or started
                ended = condition_of(job)
                if ended is not None:
                    self._require_answer(key, name, ended)
                    continue
                away = None
            except (JobsAwayError, DependencyError) as error:
                away = error
            waited = (datetime.now(UTC) - started).total_seconds()
            if waited > timeout:
                self._give_up(name, timeout, away)
            if self._stopping.wait(self._settings.controller.job_poll_seconds):
                raise StoppedError(f"The controller stopped while Job {name} ran; the Job goes on.")

    def _create(self, name: str, key: str, words: Sequence[str]) -> dict[str, Any]:
        arguments = ["cluster", "job", "--answer", key, "--", *words]
        return self._jobs.create(job_from_template(self._jobs.template(self._template), name, arguments))

    def _require_answer(self, key: str, name: str, what: str) -> None:
        if read_answer(self._settings, key) is None:
            raise PlumblineError(
                f"Job {name} {what} and left no answer under {key}; `kubectl logs job/{name}` shows its last words."
            )

    def _give_up(self, name: str, timeout: float, away: Exception | None) -> None:
        if away is not None:
            raise PlumblineError(f"Job {name} could not be watched for {timeout:.0f} s: {away}") from away
        self._jobs.delete(name)
        raise PlumblineError(
            f"Job {name} did not end within {timeout:.0f} s and was deleted. "
            "PLUMBLINE_CONTROLLER__TRAINING_TIMEOUT_SECONDS gives it longer."
        )


def _result(answer: JobAnswer, words: Sequence[str], name: str) -> dict[str, Any]:
    command = " ".join(itertools.takewhile(lambda word: not word.startswith("-"), words))
    if answer.exit_code != 0:
        raise PlumblineError(
            f"`plumbline {command}` ended with exit code {answer.exit_code}: {answer.error} (Job {name})"
        )
    if answer.answer is None:
        raise PlumblineError(f"`plumbline {command}` printed no JSON object (Job {name}).")
    return answer.answer
