"""Retrains in Kubernetes Jobs made from the template of a suspended CronJob. A Job goes on without the controller."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from plumbline.cluster.job import SIGN_SECONDS, JobAnswer, SignOfLife, read_answer, read_sign
from plumbline.controller.jobs import Jobs, JobsAwayError, condition_of, job_from_template
from plumbline.controller.process import CommandTrainer
from plumbline.controller.trainer import (
    Attempt,
    CancelledError,
    Child,
    Job,
    Outcome,
    ReleaseStep,
    StoppedError,
    outcome_of,
    prepare_arguments,
    training_arguments,
    waits_elsewhere,
)
from plumbline.errors import DependencyError, PlumblineError
from plumbline.process.patience import Patience
from plumbline.settings import Settings

_log = logging.getLogger(__name__)
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

    def reject(self, version: str, reason: str, *, attempt: Attempt) -> None:
        """See `Trainer.reject`."""
        self._commands.reject(version, reason, attempt=attempt)

    def release(self, version: str, reason: str, *, attempt: Attempt) -> ReleaseStep:
        """See `Trainer.release`."""
        return self._commands.release(version, reason, attempt=attempt)

    def end(self, left: Child | Job) -> None:
        """See `Trainer.end`."""
        if isinstance(left, Job):
            self._jobs.delete(left.name)
        else:
            self._commands.end(left)

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
        life = _Life()
        patience = Patience(
            self._settings.controller.training_patience_seconds + SIGN_SECONDS, work=life.work, sign=life.sign
        )
        there = attempt.job == name
        while True:
            self._go_on_or_raise(name, attempt)
            try:
                answer = read_answer(self._settings, key)
                if answer is not None:
                    return _result(answer, words, name)
                job = self._jobs.get(name)
                if job is None:
                    if there:
                        # Its answer may have come between the two questions.
                        self._require_answer(key, name, "was deleted", "`kubectl get events` may tell by whom.")
                        continue
                    job = self._create(name, key, words)
                if not there:
                    attempt.on_start(Job(name))
                    there = True
                ended = condition_of(job)
                if ended is not None:
                    self._require_answer(key, name, ended, f"`kubectl logs job/{name}` shows its last words.")
                    continue
                life.seen(job, read_sign(self._settings, key))
            except (JobsAwayError, DependencyError) as error:
                life.away = error
            if patience.lost() and not (life.begun and waits_elsewhere(words)):
                self._give_up(name, patience.seconds, life)
            self._stopping.wait(self._settings.controller.job_poll_seconds)

    def _go_on_or_raise(self, name: str, attempt: Attempt) -> None:
        if self._stopping.is_set():
            attempt.on_stop()
            raise StoppedError(f"The controller stopped while Job {name} ran; the Job goes on.")
        if attempt.cancelled():
            raise CancelledError(f"Job {name} is cancelled.")

    def _create(self, name: str, key: str, words: Sequence[str]) -> dict[str, Any]:
        arguments = ["cluster", "job", "--answer", key, "--", *words]
        return self._jobs.create(job_from_template(self._jobs.template(self._template), name, arguments))

    def _require_answer(self, key: str, name: str, what: str, advice: str) -> None:
        if read_answer(self._settings, key) is None:
            raise PlumblineError(f"Job {name} {what} and left no answer under {key}. {advice}")

    def _give_up(self, name: str, seconds: float, life: _Life) -> None:
        try:
            self._jobs.delete(name)
        except JobsAwayError as error:
            _log.warning("Job %s could not be deleted; its own deadline ends it: %s", name, error)
        if life.away is not None:
            raise PlumblineError(
                f"Job {name} could not be watched for {seconds:.0f} s and was given up: {life.away}"
            ) from life.away
        raise PlumblineError(
            f"{life.told(name, seconds)} PLUMBLINE_CONTROLLER__TRAINING_PATIENCE_SECONDS waits longer."
        )


class _Life:
    """What is seen of a Job from outside: its status, and the signs that its command leaves in the object store."""

    def __init__(self) -> None:
        self.away: Exception | None = None
        self._status: dict[str, Any] = {}
        self._sign: SignOfLife | None = None

    def seen(self, job: dict[str, Any], sign: SignOfLife | None) -> None:
        self.away = None
        self._status = job.get("status") or {}
        self._sign = sign

    def work(self) -> float:
        return 0.0 if self._sign is None else self._sign.processor_seconds

    def sign(self) -> object:
        return self._status, None if self._sign is None else self._sign.lines

    @property
    def begun(self) -> bool:
        """Whether its command is known to run."""
        return self._sign is not None and self.away is None

    def told(self, name: str, seconds: float) -> str:
        if self._sign is None:
            return (
                f"Job {name} had not begun after {seconds:.0f} s and was deleted. `kubectl get events` says why: no "
                "room on the nodes, or an image that cannot be had."
            )
        return (
            f"Job {name} had neither worked nor said anything new for {seconds:.0f} s and was deleted. Its last words: "
            f"{self._sign.said or 'none'}. If it waited for a service, look at that."
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
