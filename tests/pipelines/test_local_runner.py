"""KFP's local runner and the compiled form: what is used must do the same in both.

KFP reads annotations as objects, so that this module does not postpone their evaluation.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from pipelines.compiling import foreign_constructs
from pipelines.containers import component, configure_task
from pipelines.local import run_locally
from plumbline import errors
from plumbline.errors import DiskFullError, MissingInputError, PlumblineError, UserError
from plumbline.settings import Settings

IMAGE = "plumbline/test:1"


def write(text: str, count: int, share: float, data: dsl.Output[dsl.Dataset], model: dsl.Output[dsl.Model]) -> str:
    """Writes artefacts and a parameter."""
    from pathlib import Path

    Path(data.path).mkdir()
    (Path(data.path) / "text").write_text(f"{text} {count} {share}")
    Path(model.path).write_text("model")
    data.metadata["rows"] = count
    return text.upper()


def read(
    shouted: str, mode: str, data: dsl.Input[dsl.Dataset], model: dsl.Input[dsl.Model], metrics: dsl.Output[dsl.Metrics]
) -> str:
    """Reads them, or fails in the way it is asked to."""
    import os
    import signal
    import sys
    from pathlib import Path

    from plumbline.errors import MissingInputError

    match mode:
        case "own":
            raise MissingInputError("There is none. Make one.")
        case "other":
            raise ValueError("something odd")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "full":
            raise OSError(28, "No space left on device")
        case "loud":
            sys.stdout.write("loud on stdout\n")
            sys.stderr.write("loud on stderr\n")
    metrics.log_metric("length", float(len(shouted)))
    text, rows = (Path(data.path) / "text").read_text(), int(data.metadata["rows"])
    return f"{shouted}: {text}; {rows}; {Path(model.path).read_text()}"


@pytest.fixture
def every_construct(settings: Settings) -> Any:
    """A pipeline with everything that our pipelines use."""
    first, second = component(write, IMAGE), component(read, IMAGE)

    @dsl.pipeline(name="every-construct")
    def pipeline(text: str, count: int = 3, share: float = 0.5, mode: str = "") -> str:
        written = first(text=text, count=count, share=share)
        done = second(
            shouted=written.outputs["Output"],
            mode=mode,
            data=written.outputs["data"],
            model=written.outputs["model"],
        )
        for task in (written, done):
            configure_task(task, settings)
        return done.outputs["Output"]

    return pipeline


def test_every_construct_runs_here(
    every_construct: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    events: list[str] = []
    done = run_locally(
        every_construct,
        {"text": "plumb", "count": 7, "mode": "loud"},
        settings,
        on_start=lambda step: events.append(f"+{step}"),
        on_end=lambda step, _: events.append(f"-{step}"),
    )
    assert done.outputs == {"Output": "PLUMB: plumb 7 0.5; 7; model"}
    assert events == ["+write", "-write", "+read", "-read"]
    assert list(done.seconds) == ["write", "read"]
    log = (done.folder / "run.log").read_text()
    assert "loud on stdout" in log
    assert "loud on stderr" in log
    captured = capsys.readouterr()
    assert captured.out == ""


def test_every_construct_is_in_the_compiled_form(every_construct: Any, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(every_construct, str(path))
    assert foreign_constructs(path) == []
    specification, platform = yaml.safe_load_all(path.read_text())
    tasks = specification["root"]["dag"]["tasks"]
    inputs = tasks["read"]["inputs"]
    assert inputs["artifacts"]["data"]["taskOutputArtifact"] == {
        "outputArtifactKey": "data",
        "producerTask": "write",
    }
    assert inputs["parameters"]["shouted"]["taskOutputParameter"]["producerTask"] == "write"
    assert inputs["parameters"]["mode"] == {"componentInputParameter": "mode"}
    assert tasks["write"]["cachingOptions"] == {}
    assert specification["root"]["inputDefinitions"]["parameters"]["count"]["defaultValue"] == 3
    for executor in specification["deploymentSpec"]["executors"].values():
        assert executor["container"]["image"] == IMAGE
        assert "pip install" not in " ".join(executor["container"]["command"])
    mounts = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert mounts["exec-read"]["configMapAsVolume"][0]["mountPath"] == "/etc/plumbline"


@pytest.mark.parametrize(
    ("mode", "kind", "said"),
    [
        ("own", MissingInputError, r"^Step read: There is none\. Make one\.$"),
        ("other", PlumblineError, r"Step read failed; its last lines .*run\.log(?s:.*)ValueError: something odd"),
        ("killed", PlumblineError, "Step read was killed"),
        ("full", DiskFullError, "Step read: no room left"),
    ],
)
def test_a_failing_step_is_named(
    every_construct: Any, settings: Settings, mode: str, kind: type[PlumblineError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        run_locally(every_construct, {"text": "x", "mode": mode}, settings)
    assert caught.type is kind


def test_one_pipeline_at_a_time_under_one_home(every_construct: Any, settings: Settings) -> None:
    inner: list[BaseException] = []

    def start_another(_: str) -> None:
        try:
            run_locally(every_construct, {"text": "y"}, settings)
        except UserError as error:
            inner.append(error)

    run_locally(every_construct, {"text": "x"}, settings, on_start=start_another)
    assert "Another pipeline runs" in str(inner[0])


def test_old_runs_make_room(every_construct: Any, settings: Settings) -> None:
    folders = [run_locally(every_construct, {"text": "x"}, settings).folder for _ in range(5)]
    assert [folder.exists() for folder in folders] == [False, False, True, True, True]


def test_constructs_that_the_local_runner_gets_wrong_are_found(tmp_path: Path) -> None:
    @dsl.component(base_image=IMAGE, install_kfp_package=False)
    def answer(text: str) -> str:
        return text

    @dsl.pipeline(name="foreign")
    def foreign(text: str) -> None:
        first = answer(text=text)
        with dsl.If(first.output == "yes"):
            answer(text="conditional")
        with dsl.ParallelFor(["a", "b"]) as item:
            answer(text=item)
        retried = answer(text="retried")
        retried.set_retry(3)

    path = tmp_path / "foreign.yaml"
    compiler.Compiler().compile(foreign, str(path))
    found = " ".join(foreign_constructs(path))
    for construct in ("triggerPolicy", "parameterIterator", "retryPolicy", "a pipeline inside the pipeline"):
        assert construct in found


def test_every_error_class_can_come_back_from_a_step() -> None:
    from pipelines.run_log import _KINDS

    own = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, PlumblineError)}
    assert set(_KINDS) == own
    assert sys.version_info[:2] == (3, 11)
