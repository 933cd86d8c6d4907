"""Retraining in Jobs: their answers are read, their faults told, and a restarted controller finds them again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from controller_process import until
from kubernetes_double import KubernetesDouble, running_kubernetes

from plumbline.controller.decisions import Decisions
from plumbline.controller.kubernetes import KubernetesTrainer
from plumbline.controller.lock import only_one
from plumbline.controller.loop import Loop
from plumbline.controller.state import Retraining, open_state
from plumbline.controller.trainer import Attempt, Child, Job, StoppedError, trainer_for
from plumbline.errors import DependencyError, PlumblineError, SettingsError
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
PARITY = {"parity": {"share": 1.0}}
TRAINED = {"gate": {"verdict": "promote", "reasons": []}, "model_version": 7, "run_id": "r7", "promoted": True}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesDouble]:
    with running_kubernetes(tmp_path) as (double, config):
        # The client reads the variable when it is imported.
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        yield double


@pytest.fixture
def on_cluster(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("plumbline.controller.kubernetes.SIGN_SECONDS", 0.0)
    controller = {
        "launcher": "kubernetes",
        "job_template": "line-retrain",
        "job_poll_seconds": 0.02,
        "retry_pause_seconds": 0,
        "training_patience_seconds": 20,
    }
    return load_settings(home=settings.home, controller=controller)


class Answers:
    """Ends Jobs as they are made: with an answer in the object store, or without one."""

    def __init__(self, settings: Settings, cluster: KubernetesDouble) -> None:
        self._store = open_store(settings)
        self._cluster = cluster
        cluster.on_create = self.end
        self.by_step: dict[str, dict[str, Any] | None] = {
            "features": {"exit_code": 0, "answer": PARITY},
            "training": {"exit_code": 0, "answer": TRAINED},
        }

    def end(self, name: str) -> None:
        self.leave(name)
        self._cluster.finish(name, "Complete")

    def leave(self, name: str) -> None:
        answer = self.by_step[name.rpartition("-")[2]]
        if answer is not None:
            content = {"error": None, "started": "", "ended": "", **answer}
            self._store.put(f"controller/jobs/{name}.json", json.dumps(content).encode())


@pytest.fixture
def answers(on_cluster: Settings, cluster: KubernetesDouble) -> Answers:
    return Answers(on_cluster, cluster)


def _attempt(tmp_path: Path, seen: list[Child | Job] | None = None, job: str | None = None) -> Attempt:
    return Attempt("1-1-abc", tmp_path / "log", (seen if seen is not None else []).append, job=job)


def _prepare(settings: Settings, attempt: Attempt) -> None:
    KubernetesTrainer(settings).prepare("snap", AS_OF, attempt=attempt)


def _retraining(settings: Settings) -> Retraining:
    (found,) = open_state(settings).retrainings()
    return found


def _queue(settings: Settings) -> None:
    with open_state(settings).writing() as writer:
        writer.add_retraining(
            model="m", fingerprint="f", reason="words moved", snapshot="snap", as_of=AS_OF, not_before=None
        )


def _with(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"controller": settings.controller.model_copy(update=changes)})


def test_a_retraining_is_two_jobs_of_the_template(
    on_cluster: Settings, cluster: KubernetesDouble, answers: Answers
) -> None:
    _queue(on_cluster)
    Loop(on_cluster, open_state(on_cluster), KubernetesTrainer(on_cluster)).run_once()
    done = _retraining(on_cluster)
    assert (done.state, done.model_version, done.attempts) == ("promoted", "7", 1)
    features, training = cluster.jobs
    assert done.job == training
    assert (features.rpartition("-")[0], features.startswith("line-retrain-1-1-")) == (
        training.rpartition("-")[0],
        True,
    )
    job = cluster.jobs[training]
    assert job["metadata"]["labels"] == {"app": "line"}
    assert job["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert (job["spec"]["ttlSecondsAfterFinished"], job["spec"]["backoffLimit"]) == (600, 0)
    assert job["spec"]["template"]["spec"]["newerThanTheClient"] is True
    args = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[:8] == [
        *("cluster", "job", "--answer", f"controller/jobs/{training}.json", "--"),
        *("pipeline", "run", "training"),
    ]
    assert "model.eval_days=7" in args
    assert "--parity" not in args  # the features' job has recorded it where the gate reads it


def test_with_kfp_the_same_job_submits_and_waits(settings: Settings, cluster: KubernetesDouble, tmp_path: Path) -> None:
    on_kfp = load_settings(home=settings.home, pipelines={"runner": "kfp"}, controller={"job_template": "line-retrain"})
    Answers(on_kfp, cluster)
    KubernetesTrainer(on_kfp).train("snap", AS_OF, reason="r", promote=False, attempt=_attempt(tmp_path))
    (job,) = cluster.jobs.values()
    args = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[5:9] == ["pipeline", "submit", "training", "--wait"]
    assert args[-1] == "--no-promote"


def test_names_stay_within_what_kubernetes_allows(on_cluster: Settings, cluster: KubernetesDouble) -> None:
    long = on_cluster.controller.model_copy(update={"job_template": "x" * 63})
    trainer = KubernetesTrainer(on_cluster.model_copy(update={"controller": long}))
    name = trainer._name("training", Attempt("12-2-abcdef", Path("log"), lambda _: None))
    assert (len(name), name.endswith("-12-2-abcdef-training")) == (63, True)


def test_a_command_that_fails_in_a_job_gives_its_own_sentence(
    on_cluster: Settings, answers: Answers, tmp_path: Path
) -> None:
    answers.by_step["features"] = {"exit_code": 2, "answer": None, "error": "There is no snapshot."}
    with pytest.raises(PlumblineError, match=r"features prepare` ended with exit code 2: There is no snapshot\."):
        _prepare(on_cluster, _attempt(tmp_path))


def test_features_that_differ_stop_the_training(on_cluster: Settings, answers: Answers, tmp_path: Path) -> None:
    answers.by_step["features"] = {"exit_code": 3, "answer": None, "error": "Offline and online features differ."}
    with pytest.raises(PlumblineError, match=r"exit code 3: Offline and online features differ"):
        _prepare(on_cluster, _attempt(tmp_path))


@pytest.mark.parametrize(("kind", "said"), [("Complete", "is complete and left no"), ("Failed", "OOMKilled.* left no")])
def test_a_job_that_leaves_no_answer_is_told(
    on_cluster: Settings, cluster: KubernetesDouble, tmp_path: Path, kind: str, said: str
) -> None:
    cluster.on_create = lambda name: cluster.finish(name, kind, "OOMKilled")
    with pytest.raises(PlumblineError, match=said):
        _prepare(on_cluster, _attempt(tmp_path))


def test_a_job_that_is_deleted_is_told(on_cluster: Settings, cluster: KubernetesDouble, tmp_path: Path) -> None:
    def deleted(name: str) -> None:
        threading.Timer(0.1, cluster.jobs.pop, [name]).start()

    cluster.on_create = deleted
    with pytest.raises(PlumblineError, match="was deleted and left no answer"):
        _prepare(on_cluster, _attempt(tmp_path))
    assert [method for method, _ in cluster.requests].count("POST") == 1


def test_a_job_that_does_not_begin_is_deleted(on_cluster: Settings, cluster: KubernetesDouble, tmp_path: Path) -> None:
    with pytest.raises(PlumblineError, match=r"had not begun after .* and was deleted.*PATIENCE_SECONDS"):
        _prepare(_with(on_cluster, training_patience_seconds=0.3), _attempt(tmp_path))
    assert cluster.jobs == {}


@pytest.mark.parametrize("moves", ["processor_seconds", "lines", "status"])
def test_a_job_may_take_as_long_as_it_gets_on(
    on_cluster: Settings, cluster: KubernetesDouble, answers: Answers, tmp_path: Path, moves: str
) -> None:
    store, looks = open_store(on_cluster), 0

    def get_on() -> None:
        # Asked of the API at each look: three times as many as its patience has.
        nonlocal looks
        looks += 1
        sign: dict[str, object] = {"processor_seconds": 1.0, "lines": 1, "said": "epoch"}
        if moves == "status":
            cluster.jobs[name]["status"] = {"ready": looks}
        else:
            sign[moves] = looks
        store.put(f"controller/jobs/{name}.alive.json", json.dumps(sign).encode())
        if looks == 30:
            answers.end(name)

    name = "line-retrain-1-1-abc-features"
    cluster.on_create = lambda _: None
    cluster.on_get = lambda _: get_on() if cluster.jobs else None
    slow = _with(on_cluster, training_patience_seconds=1.0, job_poll_seconds=0.1)
    _prepare(slow, _attempt(tmp_path))
    assert looks >= 30


def test_a_job_whose_signs_stand_still_is_deleted(
    on_cluster: Settings, cluster: KubernetesDouble, tmp_path: Path
) -> None:
    sign = {"processor_seconds": 7.0, "lines": 3, "said": "epoch 3"}
    open_store(on_cluster).put("controller/jobs/line-retrain-1-1-abc-features.alive.json", json.dumps(sign).encode())
    with pytest.raises(PlumblineError, match=r"neither worked nor said anything new .*Its last words: epoch 3\."):
        _prepare(_with(on_cluster, training_patience_seconds=0.3), _attempt(tmp_path))
    assert cluster.jobs == {}


@pytest.mark.parametrize("status", [503, 401], ids=["starting", "token expired"])
def test_an_api_that_is_away_for_a_while_costs_nothing(
    on_cluster: Settings, cluster: KubernetesDouble, answers: Answers, tmp_path: Path, status: int
) -> None:
    cluster.away, cluster.away_status = True, status
    threading.Timer(0.3, lambda: setattr(cluster, "away", False)).start()
    _prepare(on_cluster, _attempt(tmp_path))


def test_an_api_that_stays_away_is_told(on_cluster: Settings, cluster: KubernetesDouble, tmp_path: Path) -> None:
    cluster.away = True
    with pytest.raises(PlumblineError, match=r"could not be watched.* 503"):
        _prepare(_with(on_cluster, training_patience_seconds=0.2), _attempt(tmp_path))


def test_what_may_not_be_done_is_told_at_once(on_cluster: Settings, cluster: KubernetesDouble, tmp_path: Path) -> None:
    cluster.forbidden = True
    with pytest.raises(PlumblineError, match=r"refused to get jobs in namespace ml: 403 .*is forbidden"):
        _prepare(on_cluster, _attempt(tmp_path))


def test_a_template_that_is_missing_is_told(on_cluster: Settings, cluster: KubernetesDouble, tmp_path: Path) -> None:
    with pytest.raises(PlumblineError, match="no CronJob another in namespace ml"):
        _prepare(_with(on_cluster, job_template="another"), _attempt(tmp_path))


def test_an_answer_is_enough_where_the_job_is_gone(
    on_cluster: Settings, cluster: KubernetesDouble, answers: Answers, tmp_path: Path
) -> None:
    name = "line-retrain-1-1-abc-features"
    answers.leave(name)
    _prepare(on_cluster, _attempt(tmp_path, job=name))
    assert cluster.requests == []


@pytest.mark.parametrize("crashed", [False, True], ids=["stopped", "killed"])
def test_a_restarted_controller_takes_its_job_up_again(
    on_cluster: Settings, cluster: KubernetesDouble, answers: Answers, crashed: bool
) -> None:
    cluster.on_create = lambda name: answers.end(name) if name.endswith("features") else None
    _queue(on_cluster)
    first = Loop(on_cluster, open_state(on_cluster), KubernetesTrainer(on_cluster))
    first.start()
    until(lambda: (_retraining(on_cluster).job or "").endswith("training"))
    first.stop()
    left = _retraining(on_cluster)
    assert (left.state, left.attempts, left.job) == ("queued", 0, list(cluster.jobs)[-1])
    if crashed:
        open_state(on_cluster).update(1, state="running", attempts=1)

    second = Loop(on_cluster, open_state(on_cluster), KubernetesTrainer(on_cluster))
    second.start()
    until(lambda: _retraining(on_cluster).state == "running")
    answers.end(str(left.job))
    until(lambda: _retraining(on_cluster).state == "promoted")
    second.stop()
    assert _retraining(on_cluster).attempts == 1
    assert len(cluster.jobs) == 2


def test_a_try_that_kills_controller_after_controller_comes_to_an_end(
    on_cluster: Settings, cluster: KubernetesDouble
) -> None:
    _queue(on_cluster)
    state, crashes = open_state(on_cluster), 0
    cluster.jobs["left"] = {"metadata": {"name": "left"}}
    while _retraining(on_cluster).state != "failed":
        before = _retraining(on_cluster)
        state.update(1, state="running", attempts=before.attempts + 1, job="left")
        Loop(on_cluster, state, KubernetesTrainer(on_cluster)).recover()
        crashes += 1
    assert crashes == 5 * on_cluster.controller.max_attempts
    assert cluster.jobs == {}
    assert "number 5" in str(_retraining(on_cluster).error)


@pytest.mark.parametrize("alive", [True, False], ids=["controller works", "no controller"])
def test_a_cancelled_retrainings_job_is_deleted(on_cluster: Settings, cluster: KubernetesDouble, alive: bool) -> None:
    _queue(on_cluster)
    state = open_state(on_cluster)
    loop = Loop(on_cluster, state, KubernetesTrainer(on_cluster))
    loop.start()
    until(lambda: bool(_retraining(on_cluster).job))
    assert len(cluster.jobs) == 1
    person = Decisions(on_cluster, state, KubernetesTrainer(on_cluster), who="ann@desk")
    if alive:
        with only_one(on_cluster):
            assert person.cancel(1, "Wrong week.").state == "cancelled"
            until(lambda: not cluster.jobs and _retraining(on_cluster).step == "done")
        loop.stop()
    else:
        loop.stop()
        assert len(cluster.jobs) == 1
        assert person.cancel(1, "Wrong week.").step == "done"
    assert cluster.jobs == {}
    assert _retraining(on_cluster).state == "cancelled"


def test_a_job_whose_api_is_away_is_deleted_once_it_answers(on_cluster: Settings, cluster: KubernetesDouble) -> None:
    _queue(on_cluster)
    state = open_state(on_cluster)
    cluster.jobs["left"] = {"metadata": {"name": "left"}}
    state.update(1, state="running", attempts=1, job="left")
    cluster.away = True
    with pytest.raises(DependencyError, match=r"Retraining 1 is cancelled, .*`plumbline controller run`"):
        Decisions(on_cluster, state, KubernetesTrainer(on_cluster), who="ann@desk").cancel(1, "Wrong week.")
    loop = Loop(on_cluster, state, KubernetesTrainer(on_cluster))  # what the message says
    loop.start()
    cluster.away = False
    until(lambda: not cluster.jobs and _retraining(on_cluster).step == "done")
    loop.stop()
    assert _retraining(on_cluster).state == "cancelled"


def test_a_failed_job_is_tried_again_under_another_name(
    on_cluster: Settings, cluster: KubernetesDouble, answers: Answers
) -> None:
    answers.by_step["training"] = {"exit_code": 4, "answer": None, "error": "MLflow is away."}
    _queue(on_cluster)
    loop = Loop(on_cluster, open_state(on_cluster), KubernetesTrainer(on_cluster))
    assert loop.run_once()
    assert "MLflow is away." in str(_retraining(on_cluster).error)
    answers.by_step["training"] = {"exit_code": 0, "answer": TRAINED}
    assert loop.run_once()
    done = _retraining(on_cluster)
    assert (done.state, done.attempts, len(cluster.jobs)) == ("promoted", 2, 4)


def test_stopping_leaves_the_job_running(on_cluster: Settings, cluster: KubernetesDouble, tmp_path: Path) -> None:
    trainer = KubernetesTrainer(on_cluster)
    attempt = Attempt("1-1-abc", tmp_path / "log", lambda _: trainer.stop())
    with pytest.raises(StoppedError):
        trainer.prepare("snap", AS_OF, attempt=attempt)
    assert len(cluster.jobs) == 1


def test_the_launcher_needs_a_template_and_a_bucket(on_cluster: Settings) -> None:
    with pytest.raises(SettingsError, match="JOB_TEMPLATE"):
        trainer_for(on_cluster)


def test_a_database_of_an_earlier_version_is_taken_over(settings: Settings) -> None:
    import sqlite3

    from plumbline import paths

    _queue(settings)
    with sqlite3.connect(paths.controller_dir(settings) / "state.sqlite") as connection:
        for table, column in (("retrainings", "job"), ("retrainings", "crashes"), ("alerts", "why")):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("DROP TABLE action_counts")
        connection.execute("INSERT INTO events VALUES (NULL, '', 'alert', 'f', '{\"action\": \"joined\"}')")
    assert (_retraining(settings).job, _retraining(settings).crashes) == (None, 0)
    assert open_state(settings).count_actions() == {"joined": 1}
