"""Who is let in, for what, how often: keys, tokens and rates, as the front ends ask."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from plumbline.errors import DependencyError, IntegrityError, MissingInputError, SettingsError
from plumbline.settings.serving import ServingSettings
from serving.access.guard import Guard
from serving.access.keys import own_key
from serving.errors import RequestRefusedError

KEY = "k" * 20 + "0123456789"
OTHER = "o" * 20 + "0123456789"
ISSUER, AUDIENCE = "https://issuer.example", "plumbline"


def guard(host: str = "0.0.0.0", **access: Any) -> Guard:
    return Guard(ServingSettings(host=host, access=access))


def bearer(key: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {key}".encode()}


def refusal(act: Callable[[], Any]) -> RequestRefusedError:
    with pytest.raises(RequestRefusedError) as caught:
        act()
    return caught.value


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "web").write_text(f"{KEY}\n")
    return tmp_path


def test_beyond_loopback_an_endpoint_without_keys_does_not_start() -> None:
    with pytest.raises(SettingsError, match=r"nobody could ask it.*keys_dir.*serving.access.required"):
        guard()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_everybody_of_the_machine_may_ask(host: str) -> None:
    client = guard(host).admit({}, "classify")
    assert client.id == "anonymous"


def test_letting_everybody_in_has_to_be_said() -> None:
    assert guard(required=False).admit({}, "models").id == "anonymous"


@pytest.mark.parametrize(
    "headers", [bearer(KEY), {b"x-api-key": KEY.encode()}, {b"authorization": b"bearer " + KEY.encode()}]
)
def test_a_key_names_its_client(keys: Path, headers: dict[bytes, bytes]) -> None:
    assert guard(keys_dir=keys).admit(headers, "classify").id == "web"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("not " + KEY),
        bearer(""),
        {b"authorization": b"Basic " + KEY.encode()},
        {b"x-api-key": b""},
        {b"x-api-key": b"\xff\xfe"},
    ],
)
def test_without_a_valid_key_nobody_is_let_in(keys: Path, headers: dict[bytes, bytes]) -> None:
    error = refusal(lambda: guard(keys_dir=keys).admit(headers, "classify"))
    assert error.status == 401
    assert KEY not in error.detail


def test_a_wrong_key_is_refused_even_where_none_is_needed(keys: Path) -> None:
    assert refusal(lambda: guard("127.0.0.1", keys_dir=keys).admit(bearer(OTHER), "classify")).status == 401


def test_a_key_from_the_environment_is_the_default_clients(keys: Path) -> None:
    both = guard(keys_dir=keys, api_key=OTHER)
    assert both.admit(bearer(OTHER), "classify").id == "default"
    assert both.admit(bearer(KEY), "classify").id == "web"


def test_a_second_line_is_a_second_valid_key(keys: Path) -> None:
    (keys / "web").write_text(f"{KEY}\n{OTHER}\n")
    both = guard(keys_dir=keys)
    assert {both.admit(bearer(key), "classify").id for key in (KEY, OTHER)} == {"web"}


def test_changed_keys_count_without_a_restart(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changing = guard(keys_dir=keys)
    monkeypatch.setattr("serving.access.keys._LOOK_SECONDS", 0.0)
    (keys / "web").write_text(f"{OTHER}\n")
    os.utime(keys / "web", ns=(1, 1))
    assert changing.admit(bearer(OTHER), "classify").id == "web"
    assert refusal(lambda: changing.admit(bearer(KEY), "classify")).status == 401


def test_keys_that_become_unusable_leave_the_old_ones_valid(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changing = guard(keys_dir=keys)
    monkeypatch.setattr("serving.access.keys._LOOK_SECONDS", 0.0)
    (keys / "web").write_text("short\n")
    assert changing.admit(bearer(KEY), "classify").id == "web"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("web", "short", "has 5 characters"),
        ("a client", KEY, "not named after a client"),
        ("other", KEY, "have the same key"),
    ],
)
def test_keys_that_cannot_be_used_are_said_at_the_start(keys: Path, name: str, content: str, says: str) -> None:
    (keys / name).write_text(content)
    with pytest.raises(SettingsError, match=says) as caught:
        guard(keys_dir=keys)
    assert KEY not in str(caught.value)


def test_a_folder_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="is not a folder"):
        guard(keys_dir=tmp_path / "none")


def test_how_kubernetes_mounts_a_secret(tmp_path: Path) -> None:
    real = tmp_path / "..2026"
    real.mkdir()
    (real / "web").write_text(KEY)
    (tmp_path / "..data").symlink_to(real)
    (tmp_path / "web").symlink_to(tmp_path / "..data" / "web")
    assert guard(keys_dir=tmp_path).admit(bearer(KEY), "classify").id == "web"


def test_scopes_of_a_client(keys: Path) -> None:
    narrow = guard(keys_dir=keys, clients={"web": {"scopes": ["models"]}})
    assert narrow.admit(bearer(KEY), "models").id == "web"
    error = refusal(lambda: narrow.admit(bearer(KEY), "classify"))
    assert (error.status, "classify" in error.detail) == (403, True)


def test_our_own_commands_find_a_key(keys: Path) -> None:
    assert own_key(ServingSettings(access={"keys_dir": keys}).access) is None
    (keys / "default").write_text(f"{OTHER}\n{KEY}\n")
    assert own_key(ServingSettings(access={"keys_dir": keys}).access) == OTHER
    assert own_key(ServingSettings(access={"keys_dir": keys, "api_key": KEY}).access) == KEY


def test_a_key_is_in_no_dump_of_the_settings() -> None:
    settings = ServingSettings(access={"api_key": KEY})
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()


def test_the_rate_of_a_client_is_its_own(keys: Path) -> None:
    (keys / "bulk").write_text(OTHER)
    limited = guard(
        keys_dir=keys, rate={"per_second": 0.001, "burst": 2}, clients={"bulk": {"rate": {"per_second": 1e6}}}
    )
    for _ in range(2):
        limited.admit(bearer(KEY), "classify")
    error = refusal(lambda: limited.admit(bearer(KEY), "classify"))
    assert error.status == 429
    assert error.retry_after is not None
    assert error.retry_after > 1
    for _ in range(100):
        limited.admit(bearer(OTHER), "classify")


def test_without_keys_each_address_has_its_rate() -> None:
    limited = guard("127.0.0.1", rate={"per_second": 0.001, "burst": 1})
    limited.admit({}, "classify", peer="10.0.0.1")
    assert refusal(lambda: limited.admit({}, "classify", peer="10.0.0.1")).status == 429
    assert limited.admit({}, "classify", peer="10.0.0.2").id == "anonymous"


def test_a_batch_counts_its_postings_and_larger_ones_than_the_bucket_pass_when_it_is_full(keys: Path) -> None:
    limited = guard(keys_dir=keys, rate={"per_second": 0.001, "burst": 10})
    client = limited.admit(bearer(KEY), "classify", postings=0)
    limited.charge(client, 25)
    assert refusal(lambda: limited.charge(client, 1)).status == 429


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.access.rates._MOST_BUCKETS", 3)
    limited = guard("127.0.0.1", rate={"per_second": 0.001, "burst": 1})
    for number in range(10):
        limited.admit({}, "classify", peer=f"10.0.0.{number}")
    assert len(limited._rates._buckets) == 3


@pytest.fixture(scope="module")
def signing() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(key: rsa.RSAPrivateKey, kid: str = "one") -> str:
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return json.dumps({"keys": [{**jwk, "kid": kid, "use": "sig", "alg": "RS256"}]})


def token(key: Any, *, algorithm: str = "RS256", kid: str = "one", **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "web",
        "exp": time.time() + 60,
        "scope": "plumbline:classify openid",
    }
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


@pytest.fixture
def issuer(tmp_path: Path, signing: rsa.RSAPrivateKey) -> dict[str, Any]:
    (tmp_path / "jwks.json").write_text(published(signing))
    return {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": tmp_path / "jwks.json"}


def test_a_token_brings_its_subject_and_scopes(issuer: dict[str, Any], signing: rsa.RSAPrivateKey) -> None:
    verifying = guard(tokens=issuer)
    for _ in range(2):  # the second time it is remembered
        client = verifying.admit(bearer(token(signing)), "classify")
        assert (client.id, client.scopes) == ("token:web", {"classify"})
    assert refusal(lambda: verifying.admit(bearer(token(signing)), "models")).status == 403
    verifying.close()


def test_long_subjects_stay_different_clients(issuer: dict[str, Any], signing: rsa.RSAPrivateKey) -> None:
    verifying = guard(tokens=issuer)
    subjects = ("s" * 128, "s" * 129, "s" * 5000, "s" * 128 + "\ud800")
    clients = [verifying.admit(bearer(token(signing, sub=subject)), "classify") for subject in subjects]
    assert len({client.id for client in clients}) == len({client.bucket for client in clients}) == len(subjects)
    assert all(len(client.id) <= len("token:") + 128 for client in clients)
    verifying.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"exp": 10**400},
        {"exp": float("inf")},
        {"nbf": 10**400},
        {"iat": float("-inf")},
        {"sub": None},
        {"aud": "another"},
        {"iss": "https://another.example"},
        {"nbf": time.time() + 3600},
        {"kid": "two"},
    ],
)
def test_tokens_that_are_not_accepted(
    issuer: dict[str, Any], signing: rsa.RSAPrivateKey, changes: dict[str, Any]
) -> None:
    verifying = guard(tokens=issuer)
    text = token(signing, **changes)
    error = refusal(lambda: verifying.admit(bearer(text), "classify"))
    assert error.status == 401
    assert text not in error.detail


def test_signatures_that_prove_nothing(issuer: dict[str, Any], signing: rsa.RSAPrivateKey) -> None:
    verifying = guard(tokens=issuer)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    curve = ec.generate_private_key(ec.SECP256R1())
    good = token(signing)
    forged = [
        token(stranger),
        token(curve, algorithm="ES256"),
        token("x" * 64, algorithm="HS256"),
        jwt.encode({"sub": "web"}, None, algorithm="none"),
        good[:-8] + "AAAAAAAA",
        "a.b.c",
        "x" * 10_000 + "..",
    ]
    for text in forged:
        assert refusal(lambda text=text: verifying.admit(bearer(text), "classify")).status == 401  # type: ignore[misc]


def test_a_remembered_token_ends_with_its_time(
    issuer: dict[str, Any], signing: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifying = guard(tokens={**issuer, "leeway_seconds": 0})
    text = token(signing)
    verifying.admit(bearer(text), "classify")
    later = time.time() + 3600
    monkeypatch.setattr("serving.access.tokens.time.time", lambda: later)
    monkeypatch.setattr("jwt.api_jwt.datetime", _Later)
    assert refusal(lambda: verifying.admit(bearer(text), "classify")).status == 401


class _Later:
    """The clock that the JWT library reads, an hour on."""

    @staticmethod
    def now(tz: Any = None) -> Any:
        from datetime import datetime, timedelta

        return datetime.now(tz) + timedelta(hours=1)


def test_a_withdrawn_key_is_refused_once_the_file_has_changed(
    issuer: dict[str, Any], signing: rsa.RSAPrivateKey
) -> None:
    verifying = guard(tokens={**issuer, "refresh_seconds": 0.02})
    text = token(signing)
    verifying.admit(bearer(text), "classify")
    issuer["jwks_file"].write_text(published(rsa.generate_private_key(public_exponent=65537, key_size=2048), "two"))
    deadline = time.monotonic() + 10
    while accepted(verifying, text):
        assert time.monotonic() < deadline, "the withdrawn key is still accepted"
        time.sleep(0.02)
    verifying.close()


def accepted(verifying: Guard, text: str) -> bool:
    try:
        verifying.admit(bearer(text), "classify")
    except RequestRefusedError as error:
        if error.status == 401:
            return False
        raise
    return True


def test_issuers_that_cannot_be_used(issuer: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        guard(tokens={**issuer, "jwks_file": tmp_path / "none"})
    issuer["jwks_file"].write_text("{}")
    with pytest.raises(IntegrityError, match="not a JWK set"):
        guard(tokens=issuer)
    with pytest.raises(DependencyError, match="cannot be fetched"):
        guard(tokens={"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": "http://127.0.0.1:9/jwks"})


def test_an_issuer_has_one_source_of_keys() -> None:
    with pytest.raises(ValueError, match="one of the two"):
        ServingSettings(access={"tokens": {"issuer": ISSUER, "audience": AUDIENCE}})
