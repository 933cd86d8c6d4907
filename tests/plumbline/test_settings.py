from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.errors import MissingInputError, SettingsError
from plumbline.settings import load_settings


def test_home_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().home == tmp_path / "build" / "home"


def test_environment_sets_nested_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_SERVING__PORT", "8123")
    assert load_settings().serving.port == 8123


def test_file_sets_fields_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "plumbline.yaml"
    config.write_text("serving:\n  port: 8124\ncontroller:\n  port: 8125\n")
    monkeypatch.setenv("PLUMBLINE_CONFIG", str(config))
    monkeypatch.setenv("PLUMBLINE_SERVING__PORT", "8126")
    settings = load_settings()
    assert (settings.serving.port, settings.controller.port) == (8126, 8125)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PLUMBLINE_SERVNG__PORT", "1", "Did you mean PLUMBLINE_SERVING__PORT?"),
        ("PLUMBLINE_SERVING__PRT", "1", "Did you mean PLUMBLINE_SERVING__PORT?"),
        ("PLUMBLINE_HOEM", "x", "Did you mean PLUMBLINE_HOME?"),
        ("PLUMBLINE_SERVING__PORT", "many", "PLUMBLINE_SERVING__PORT has a wrong value"),
        # MLflow would refuse it after the training.
        ("PLUMBLINE_TRACKING__MODEL_NAME", "team/classifier", "a model's name has 1 to 63 letters"),
        ("PLUMBLINE_TRACKING__MODEL_NAME", "classifier:2", "a model's name has 1 to 63 letters"),
        ("PLUMBLINE_TRACKING__MODEL_NAME", "classifier-", "a model's name has 1 to 63 letters"),
        ("PLUMBLINE_TRACKING__MODEL_NAME", "x" * 64, "a model's name has 1 to 63 letters"),
        ("PLUMBLINE_TRACKING__MODEL_NAME", "classifier\n", "a model's name has 1 to 63 letters"),
        ("PLUMBLINE_SERVING__MODELS", '{"team/classifier": {}}', "a model's name has 1 to 63 letters"),
        ("PLUMBLINE_SERVING__MODEL_ALIAS", "v2", "an alias has letters"),
        ("PLUMBLINE_SERVING__MODEL_ALIAS", "latest", "an alias has letters"),
        ("PLUMBLINE_SERVING__MODEL_ALIAS", "3", "an alias has letters"),
        ("PLUMBLINE_SERVING__MODELS", '{"other": {"alias": "a b"}}', "an alias has letters"),
    ],
)
def test_wrong_variables_are_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=sentence.replace("?", r"\?")):
        load_settings()


def test_names_that_mlflow_takes_are_taken() -> None:
    names = ("a", "posting-classifier", "Team.Jobs_2", "x" * 63)
    served = {name: {"alias": "stable-1"} for name in names}
    assert list(load_settings(serving={"models": served}).serving.models) == list(names)
    assert [load_settings(tracking={"model_name": name}).tracking.model_name for name in names] == list(names)


def test_unknown_key_in_the_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "plumbline.yaml"
    config.write_text("serving:\n  prt: 8124\n")
    monkeypatch.setenv("PLUMBLINE_CONFIG", str(config))
    with pytest.raises(SettingsError, match=r"serving\.prt is not a setting of Plumbline. Did you mean serving\.port"):
        load_settings()


def test_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLUMBLINE_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(MissingInputError, match=r"none\.yaml"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PLUMBLINE_SERVING__ACCESS__API_KEY", '{"hunter2": 1}'),
        ("PLUMBLINE_SERVING__ACCESS", '{"api_key": "hunter2", "rate": {"per_second": -1}}'),
        ("PLUMBLINE_SERVING__ACCESS", '{"api_key": "hunter2", "tokens": {"issuer": "a", "audience": "b"}}'),
        ("PLUMBLINE_SERVING__LOG", '{"mask_key": "hunter2"}'),
    ],
)
def test_a_wrong_setting_beside_a_secret_does_not_say_the_secret(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert "hunter2" not in said()


def said() -> str:
    """What is said of the settings, right or wrong."""
    try:
        return repr(load_settings())
    except SettingsError as error:
        return str(error)
