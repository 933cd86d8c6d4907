"""The client over TLS: certificates are verified, and one that is not trusted is no connection."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scripted_server import Arrived, ScriptedServer, reply

from serving.load.client import send_all


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and self-signed certificate for 127.0.0.1 in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def fine(arrived: Arrived) -> bytes:
    return reply(arrived.body)


def test_a_trusted_certificate_is_spoken_to_and_another_is_not(certificate: Path) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    with ScriptedServer(fine, tls=server_side) as server:
        ids = ["a", "b", "c"]
        trusted = send_all(server.url, [b"x"] * 3, [0, 0, 0.2], request_ids=ids, timeout=20, tls=trusting)
        assert trusted.answered.all()
        untrusted = send_all(server.url, [b"x"] * 3, [0, 0, 0.2], request_ids=ids, timeout=20)
    assert untrusted.errors_by_kind() == {"no connection": 3}
    assert len(server.arrived) == 3
