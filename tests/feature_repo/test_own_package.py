"""A package of the user's own takes the place of `feature_repo`, in every command and in training."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from posting_stream import START
from typer.testing import CliRunner

from feature_repo.cli import app
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import SettingsError
from plumbline.features.offline import historical_features
from plumbline.features.repo import feature_repo
from plumbline.features.schema import FeatureSpec
from plumbline.model.external import read_file, with_features
from plumbline.registry.steps.training_set import _ensure_views
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store

AS_OF = START + timedelta(days=100)


@pytest.fixture
def own(tmp_path: Path, postings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with a snapshot, and settings that name the package, in the environment too."""
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLUMBLINE_FEATURES__REPO_MODULE", "own_features")
    monkeypatch.setenv("PLUMBLINE_FEATURES__SERVICE", "own_v1")
    settings = load_settings()
    SnapshotStore(open_store(settings)).write(postings, source={})
    return settings


def features(*arguments: str) -> dict[str, Any]:
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert answer.exit_code == 0, answer.exception
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_every_command_takes_it(own: Settings) -> None:
    assert features("apply") == {"Entity": 1, "FeatureView": 1, "FeatureService": 1}
    assert features("build")["rows"].keys() == {"board_totals"}
    done = features("prepare", "--as-of", AS_OF.isoformat(), "--pairs", "100")
    assert done["views"]["rows"].keys() == {"board_totals"}
    assert done["parity"]["matched"] == done["parity"]["checked"] == 100
    assert done["parity"]["served"] > 50
    refreshed = features("refresh")
    assert refreshed["applied"]["FeatureView"] == 1
    assert refreshed["views"]["rows"].keys() == {"board_totals"}
    assert refreshed["online_rows"]["written"] > 0
    assert [row["view"] for row in features("show")["rows"]] == ["board_totals"]


def test_training_takes_it(own: Settings, postings: pd.DataFrame) -> None:
    _ensure_views(own, postings, "a snapshot", AS_OF)
    joined = historical_features(own, postings.tail(5))
    row = joined.iloc[-1]
    before = (postings["event_timestamp"] < row["event_timestamp"].normalize()) & (postings["board"] == row["board"])
    assert row["board_total"] == before.sum()
    assert "company_postings_28d" not in joined.columns


def test_evaluation_on_a_file_takes_it(own: Settings, postings: pd.DataFrame, tmp_path: Path) -> None:
    data, mapping = tmp_path / "rows.csv", tmp_path / "mapping.yaml"
    postings.tail(200)[["posting_id", "event_timestamp", "board", "title", "description", "label"]].to_csv(data)
    mapping.write_text(
        "version: 1\nname: rows\nignored: ['Unnamed: 0']\nfields:\n  label: label\n  language: {constant: pl}\n"
        + "".join(f"  {name}: {name}\n" for name in ("posting_id", "event_timestamp", "board", "title", "description"))
    )
    specs = [FeatureSpec(name="board_total", kind="numeric", default=0.0)]
    external = with_features(own, read_file(own, data, mapping), None, specs)
    assert (external.features, external.reason) == ("offline", "")
    assert external.rows["board_total"].max() > 10


@pytest.mark.parametrize(
    ("package", "files", "said"),
    [
        ("no_such_package", {}, "there is no module no_such_package"),
        ("half_package", {"__init__.py": ""}, "there is no module half_package.definitions"),
        ("lacking", {"__init__.py": "", "definitions.py": "", "build.py": ""}, "lacking.definitions has no `apply`"),
        ("lacking_too", {"definitions.py": "def apply(_): ...", "build.py": ""}, "has no `build_views`"),
        ("broken", {"definitions.py": "def apply(:"}, "broken.definitions cannot be imported"),
        ("raising", {"definitions.py": "1 / 0"}, "raising.definitions cannot be imported: division by zero"),
    ],
)
def test_what_it_lacks_is_said_with_the_setting(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    files: dict[str, str],
    said: str,
) -> None:
    for name, text in files.items():
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    named = settings.model_copy(update={"features": settings.features.model_copy(update={"repo_module": package})})
    with pytest.raises(SettingsError, match=rf"features\.repo_module is {package}, and .*{said}"):
        feature_repo(named)


@pytest.mark.parametrize("command", [["apply"], ["build"], ["refresh"], ["prepare", "--as-of", "now"]])
def test_every_command_says_so(own: Settings, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("PLUMBLINE_FEATURES__REPO_MODULE", "no_such_package")
    answer = CliRunner().invoke(app, command)
    assert isinstance(answer.exception, SettingsError)


def test_a_library_that_is_missing_is_not_the_settings_fault(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more").mkdir()
    (tmp_path / "needs_more" / "definitions.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(str(tmp_path))
    named = settings.model_copy(update={"features": settings.features.model_copy(update={"repo_module": "needs_more"})})
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        feature_repo(named)
