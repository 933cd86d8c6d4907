"""What goes wrong around a command: one sentence, the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plumbline.process.children import plumbline_line


def plumbline(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    variables |= {str(name): str(value) for name, value in dict(more.pop("env", {})).items()}  # type: ignore[call-overload]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        plumbline_line(*arguments), env=variables, text=True, timeout=60, check=False, **streams
    )


def one_sentence(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    said = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert done.returncode == code, done.stderr
    assert [line.partition(": ")[0] for line in said] == ["plumbline"], done.stderr
    return said[0]


@pytest.mark.parametrize("home", ["/dev/null/home", "/proc/home"])
@pytest.mark.parametrize("command", [("models", "list"), ("controller", "status"), ("data", "ingest", "--generate")])
def test_a_home_that_cannot_be_written_to(tmp_path: Path, home: str, command: tuple[str, ...]) -> None:
    wrong = {"PLUMBLINE_HOME": home}
    assert "PLUMBLINE_HOME" in one_sentence(plumbline(*command, env=wrong, cwd=tmp_path))


@pytest.mark.parametrize("below", ["", "/home"])
@pytest.mark.parametrize(
    "command", [("status",), ("monitor", "history"), ("data", "snapshots"), ("demo",)], ids=" ".join
)
def test_a_home_that_is_a_file(tmp_path: Path, below: str, command: tuple[str, ...]) -> None:
    file = tmp_path / "file"
    file.touch()
    said = one_sentence(plumbline(*command, env={"PLUMBLINE_HOME": f"{file}{below}"}, cwd=tmp_path))
    assert said.endswith(f"cannot be a folder: {file} is a file. Point PLUMBLINE_HOME to another.")


def test_a_home_that_is_a_file_is_a_finding_of_the_doctor(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = plumbline("doctor", "--json", env={"PLUMBLINE_HOME": file})
    assert done.returncode == 2
    [home] = [finding for finding in json.loads(done.stdout)["rows"] if finding["check"] == "home"]
    assert (home["verdict"], "PLUMBLINE_HOME" in home["advice"]) == ("problem", True)


def test_a_home_whose_name_no_disk_takes(tmp_path: Path) -> None:
    said = one_sentence(plumbline("models", "list", env={"PLUMBLINE_HOME": tmp_path / ("x" * 300)}))
    assert "cannot be used (File name too long)" in said


def test_another_home_helps(tmp_path: Path) -> None:
    assert plumbline("models", "list", env={"PLUMBLINE_HOME": tmp_path / "home"}).returncode == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is not there"),
        ("folder", "Is a directory"),
        (b"home: \xff\xfe", "is not UTF-8"),
        (b"home: [", "is not YAML"),
        (b"data: {x: 2026-02-31}", "is not YAML"),
        (b"- home\n", "must hold settings by name"),
        (b"7: home\n", "must hold settings by name"),
        (
            b"serving:\n  prt: 1\n",
            "plumbline.yaml: serving.prt is not a setting of Plumbline. Did you mean serving.port?",
        ),
        (b"serving: [1]\n", "plumbline.yaml: serving has a wrong value: it should be a mapping of keys to values."),
        (b"serving:\n  port: many\n", "plumbline.yaml: serving.port has a wrong value ('many')"),
        (b"model:\n  runtime:\n    treads: 1\n", "plumbline.yaml: model.runtime.treads is not a setting"),
    ],
)
def test_a_settings_file_that_cannot_be_used(tmp_path: Path, content: bytes | str | None, sentence: str) -> None:
    file = tmp_path / "plumbline.yaml"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        file.mkdir()
    said = one_sentence(plumbline("settings", env={"PLUMBLINE_CONFIG": file}))
    assert str(file) in said
    assert sentence in said
    assert "PLUMBLINE_SERVING" not in said


@pytest.mark.parametrize(
    ("command", "content", "sentence"),
    [
        ("data ingest --data {data} --mapping {file}", "", "it should be a mapping of keys to values."),
        ("data ingest --data {data} --mapping {file}", "fields: 2026-02-31", "is not YAML: day is out of range"),
        ("data validate --data {data} --mapping {file}", "fields: [1, 2]",
         "fields has a wrong value: it should be a mapping of keys to values."),
        ("data validate --data {data} --mapping {file}", "fields: {posting_id: a, event_timestamp: b, board: c, "
         "title: d, description: e, collected_at: {constant: 2026-01-01 10:00:00}}",
         "fields.collected_at.constant has a wrong value (2026-01-01 10:00:00): it should be a time with its zone"),
        ("monitor policy --policy {file}", "colums: {}", "the key colums does not exist. Did you mean columns?"),
        ("monitor policy --policy {file}", "name: 2026-02-31", "is not YAML: day is out of range"),
        ("load run --plan {file}", "phases: [1]",
         "phases.0 has a wrong value (1): it should be a mapping of keys to values."),
        ("load run --plan {file}", "phases: 2026-02-31", "is not YAML: day is out of range"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used(tmp_path: Path, command: str, content: str, sentence: str) -> None:
    file, data = tmp_path / "file.yaml", tmp_path / "data.csv"
    file.write_text(content)
    data.write_text("id\n1\n")
    said = one_sentence(plumbline(*command.format(file=file, data=data).split(), env={"PLUMBLINE_HOME": tmp_path}))
    assert str(file) in said
    assert sentence in said


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("model.seed=[", "--set model.seed=[: the value is not YAML"),
        ("model.seed=2026-02-31", "--set model.seed=2026-02-31: the value is not YAML"),
        ("model.epoch=3", "--set model.epoch is not a setting of Plumbline. Did you mean model.epochs?"),
        ("model.epochs=few", "--set model.epochs has a wrong value ('few')"),
    ],
)
def test_a_wrong_set_names_itself(tmp_path: Path, assignment: str, sentence: str) -> None:
    done = plumbline("pipeline", "run", "training", "--set", assignment, env={"PLUMBLINE_HOME": tmp_path})
    assert sentence in one_sentence(done)


@pytest.mark.parametrize(
    "command", [("models", "ui"), ("monitor", "ui"), ("monitor", "exporter"), ("controller", "run")], ids=" ".join
)
def test_a_port_that_is_none_or_taken(tmp_path: Path, command: tuple[str, ...]) -> None:
    home = {"PLUMBLINE_HOME": tmp_path}
    assert "99999 is no port" in one_sentence(plumbline(*command, "--port", "99999", env=home))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"Port {port}" in one_sentence(plumbline(*command, "--port", port, env=home))


@pytest.mark.parametrize(
    "command", [("monitor", "rules"), ("monitor", "dashboards"), ("pipeline", "compile")], ids=" ".join
)
def test_a_folder_to_write_to_that_cannot_be_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = tmp_path / "file"
    file.touch()
    for wrong in (file, file / "below", Path("/proc/folder")):
        said = one_sentence(plumbline(*command, "--out", str(wrong), env={"PLUMBLINE_HOME": tmp_path / "home"}))
        assert f"{wrong} cannot be used" in said


def test_a_reason_that_is_none(tmp_path: Path) -> None:
    done = plumbline("controller", "cancel", "1", "--reason", " ", env={"PLUMBLINE_HOME": tmp_path})
    assert done.returncode == 2
    assert "needs a reason" in done.stderr


def test_a_drift_after_the_last_posting(tmp_path: Path) -> None:
    late = ("--scenario", "new_board", "--change-point", "2099-01-01")
    for command in (("data", "ingest", "--generate"), ("data", "generate", "--out", str(tmp_path / "postings.csv"))):
        done = plumbline(*command, "--rows", "300", "--weeks", "8", *late, env={"PLUMBLINE_HOME": tmp_path / "home"})
        assert "is after the last posting" in one_sentence(done)
    assert not (tmp_path / "postings.csv").exists()


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        for command in (("settings",), ("pipeline", "list"), ("version",)):
            done = plumbline(*command, env={"PLUMBLINE_HOME": tmp_path}, stdout=writing)
            assert "Standard output was closed" in one_sentence(done)
    finally:
        os.close(writing)


def test_no_output() -> None:
    closed = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *plumbline_line("version")],
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert "Standard output was closed" in one_sentence(closed)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
@pytest.mark.parametrize(
    ("line", "unbuffered"),
    [("version", ""), ("version", "1"), ("settings", ""), ("models list --json", ""), ("-h", "")],
)
def test_an_output_without_room_is_not_taken_for_the_home(tmp_path: Path, line: str, unbuffered: str) -> None:
    variables = {"PLUMBLINE_HOME": tmp_path, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        said = one_sentence(plumbline(*line.split(), env=variables, stdout=full))
    assert said.endswith("No room left where standard output goes. Free some there, or send it elsewhere.")


def test_ctrl_c_says_so(tmp_path: Path) -> None:
    line = plumbline_line("serve", "ask", "--url", "http://127.0.0.1:9", "--timeout", "30")
    asking = subprocess.Popen(
        line, stderr=subprocess.PIPE, text=True, env={**os.environ, "PLUMBLINE_HOME": str(tmp_path)}
    )
    time.sleep(4)
    asking.send_signal(signal.SIGINT)
    _, said = asking.communicate(timeout=30)
    assert "Stopped by Ctrl-C." in one_sentence(subprocess.CompletedProcess(line, asking.returncode, "", said), 130)


def test_ctrl_c_while_the_command_line_is_imported() -> None:
    # Before its first line of ours, Python answers for itself.
    entry = "from plumbline.__main__ import main; print(flush=True); main()"
    line = [sys.executable, "-P", "-c", entry, "serve", "ask", "--url", "http://127.0.0.1:9", "--timeout", "30"]
    for after in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8):
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as starting:
            assert starting.stdout is not None
            starting.stdout.readline()
            time.sleep(after)
            starting.send_signal(signal.SIGINT)
            _, said = starting.communicate(timeout=30)
        assert (starting.returncode, said) == (130, "plumbline: Stopped by Ctrl-C.\n"), after


def test_a_pipe_is_as_wide_as_its_content(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 40)
    shown = plumbline("status", env={"PLUMBLINE_HOME": folder, "COLUMNS": "40"})
    assert str(folder) in shown.stdout


@pytest.mark.parametrize("command", [("serve", "ask"), ("serve", "models"), ("load", "run")], ids=" ".join)
def test_an_address_that_is_none(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = plumbline(*command, "--url", "localhost:8000", env={"PLUMBLINE_HOME": tmp_path}, cwd=tmp_path)
    assert "'localhost:8000' is not an address" in one_sentence(done)


@pytest.mark.parametrize("uri", ["ftp://mlflow", "http://[::1", "nonsense:/x"])
def test_a_tracking_address_that_mlflow_cannot_use(tmp_path: Path, uri: str) -> None:
    done = plumbline("models", "list", env={"PLUMBLINE_HOME": tmp_path, "PLUMBLINE_TRACKING__URI": uri})
    assert "PLUMBLINE_TRACKING__URI" in one_sentence(done)


def test_a_bucket_without_credentials(tmp_path: Path) -> None:
    bucket = {
        "PLUMBLINE_HOME": tmp_path,
        "PLUMBLINE_STORE__BUCKET": "postings",
        "PLUMBLINE_STORE__ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_CONFIG_FILE": "/dev/null",
    }
    said = one_sentence(plumbline("data", "show", "20260101", env=bucket))
    assert "PLUMBLINE_STORE__ACCESS_KEY_ID and PLUMBLINE_STORE__SECRET_ACCESS_KEY" in said
