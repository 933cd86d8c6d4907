"""`plumbline models ...` on a registry with two versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from plumbline.cli.models import app
from plumbline.errors import GateRefusedError, MissingInputError
from plumbline.registry.models import TAG_AS_OF, TAG_VERDICT, ModelRegistry
from plumbline.registry.tracking import configure
from plumbline.settings import Settings, load_settings

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two versions: the first is champion, the second was rejected by the gate."""
    settings = load_settings(home=tmp_path_factory.mktemp("models") / "home")
    tracking = configure(settings)
    registry = ModelRegistry(settings, tracking)
    for name, verdict in (("a", "promote"), ("b", "reject")):
        folder = settings.home / name / "artifacts" / "posting_model"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder.parent / "model_card.md").write_text(f"# Model {name}\n")
        run = tracking.client.create_run(tracking.experiment_id).info.run_id
        tags = {TAG_VERDICT: verdict, TAG_AS_OF: "2026-03-01T00:00:00+00:00", "plumbline.accuracy": "0.8123"}
        registry.register(run, artifact_uri=str(settings.home / name), tags=tags)
    registry.promote("1", "The first.")
    return settings


@pytest.fixture(autouse=True)
def _environment(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(home.home))


def _json(*arguments: str) -> dict[str, Any]:
    done = RUNNER.invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_list_and_show_tell_aliases_and_figures() -> None:
    assert [(row["version"], row["aliases"], row["gate"]) for row in _json("list")["rows"]] == [
        ("2", "", "reject"),
        ("1", "champion", "promote"),
    ]
    shown = _json("show", "champion")
    assert (shown["version"], shown["accuracy"], shown["as_of"]) == ("1", 0.8123, "2026-03-01T00:00:00+00:00")
    assert shown["n"] is None
    assert len(shown["digest"]) == 64
    with pytest.raises(MissingInputError, match="alias challenger"):
        RUNNER.invoke(app, ["show", "challenger"], catch_exceptions=False)


def test_card_is_markdown() -> None:
    done = RUNNER.invoke(app, ["card", "2"], catch_exceptions=False)
    assert done.stdout == "# Model b\n\n"
    assert _json("card", "1") == {"version": "1", "card": "# Model a\n"}


def test_promote_asks_for_a_reason_and_heeds_the_gate() -> None:
    assert RUNNER.invoke(app, ["promote", "2"]).exit_code == 2
    with pytest.raises(GateRefusedError):
        RUNNER.invoke(app, ["promote", "2", "--reason", "x"], catch_exceptions=False)
    aliases = _json("promote", "2", "--reason", "A person looked at it.", "--override-gate")
    assert aliases == {"champion": "2", "challenger": None, "previous": "1"}
    assert _json("rollback", "--reason", "It was wrong.") == {"champion": "1", "challenger": None, "previous": None}
    last = _json("history")["rows"][-1]
    assert (last["what"], last["why"]) == ("rollback", "It was wrong.")


def test_ui_prints_how_to_open_it() -> None:
    shown = _json("ui", "--port", "5055")
    assert shown["url"] == "http://127.0.0.1:5055"
    assert "--backend-store-uri sqlite:///" in shown["command"]


def test_compare_without_common_rows_says_what_to_do(home: Settings) -> None:
    with pytest.raises(MissingInputError, match="models evaluate"):
        RUNNER.invoke(app, ["compare", "1", "2"], catch_exceptions=False)
    assert Path(home.home).is_dir()
