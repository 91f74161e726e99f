"""Facts found on this machine: real files, real sockets, real certificates."""

import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quince.edge.config import TlsConfig, load_config
from quince.edge.health.facts import gather

PEM = serialization.Encoding.PEM


def issue(name, issuer=None, *, ca=False):
    """A key, and its certificate of ours or of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, issued_by = issuer or (key, own)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issued_by)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return key, own, certificate


@pytest.fixture
def with_certificate(config, tmp_path):
    """A configuration whose certificate is of the authority it trusts."""
    authority_key, authority, root = issue("authority", ca=True)
    key, _, certificate = issue("gw-0001", (authority_key, authority))
    tls = TlsConfig(
        ca_file=tmp_path / "ca.pem", cert_file=tmp_path / "gw.pem", key_file=tmp_path / "gw.key"
    )
    tls.ca_file.write_bytes(root.public_bytes(PEM))
    tls.cert_file.write_bytes(certificate.public_bytes(PEM))
    tls.key_file.write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    broker = config.broker.model_copy(update={"tls": tls})
    return config.model_copy(update={"broker": broker})


def test_files_with_secrets_are_named_with_their_permissions(config_file, config, clock):
    config_file.chmod(0o640)
    facts = gather(config_file, config, clock, reach=False)
    assert [(file.path, file.mode) for file in facts.secrets] == [
        (config_file, 0o640),
        (config.outbox, None),
    ]


def test_keys_and_a_revision_are_secrets_too(config_file, with_certificate, clock):
    revision = with_certificate.outbox.with_suffix(".revision")
    revision.write_text("")
    facts = gather(config_file, with_certificate, clock, reach=False)
    names = [file.path.name for file in facts.secrets]
    assert names == ["gateway.toml", "outbox.db", "outbox.revision", "gw.key"]


def test_a_device_is_there_or_not(config_file, config, clock, tmp_path):
    (device,) = gather(config_file, config, clock, reach=False).devices
    assert not device.exists
    (tmp_path / "ttyUSB0").touch()
    (device,) = gather(config_file, config, clock, reach=False).devices
    assert (device.exists, device.usable) == (True, True)
    assert device.group


def test_an_outbox_that_is_not_there_is_said(config_file, config, clock):
    facts = gather(config_file, config, clock, reach=False)
    assert facts.outbox is None
    assert "no such outbox" in facts.outbox_error
    assert facts.outbox_folder_writable


def test_a_folder_that_is_not_there_is_measured_by_the_one_above(config_file, config, clock):
    elsewhere = config.model_copy(update={"outbox": config.outbox.parent / "none/yet/outbox.db"})
    facts = gather(config_file, elsewhere, clock, reach=False)
    assert facts.disk_bytes_free > 0
    assert not facts.outbox_folder_writable


def test_the_kernel_says_whether_its_clock_is_steered(config_file, config, clock):
    assert gather(config_file, config, clock, reach=False).clock_steered in (True, False, None)


def test_a_broker_that_refuses_is_told_with_its_reason(config_file, config, clock):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    config = config.model_copy(update={"broker": config.broker.model_copy(update={"port": port})})
    fact = gather(config_file, config, clock, reach=True).broker
    assert fact is not None
    assert "refused" in fact.error


def test_a_broker_in_clear_answers_by_taking_the_connection(config_file, config, clock):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        broker = config.broker.model_copy(update={"port": port})
        config = config.model_copy(update={"broker": broker})
        fact = gather(config_file, config, clock, reach=True).broker
        assert fact is not None
        assert fact.error == ""


def hang_up_on_one(listening):
    connection, _ = listening.accept()
    connection.close()


def test_a_broker_that_hangs_up_in_the_handshake_does_not_answer(
    config_file, with_certificate, clock
):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        broker = with_certificate.broker.model_copy(update={"port": port})
        thread = threading.Thread(target=hang_up_on_one, args=(listening,))
        thread.start()
        config = with_certificate.model_copy(update={"broker": broker})
        fact = gather(config_file, config, clock, reach=True).broker
        thread.join()
    assert fact is not None
    assert (fact.tls, fact.error != "") == (True, True)


def test_a_certificate_of_our_authority_is_known_as_such(config_file, with_certificate, clock):
    fact = gather(config_file, with_certificate, clock, reach=False).certificate
    assert fact is not None
    assert fact.is_issued_by_ours
    assert fact.not_after_utc - fact.not_before_utc > timedelta(days=3_000)


def test_a_certificate_of_another_authority_is_not_ours(config_file, with_certificate, clock):
    _, _, stranger = issue("authority", ca=True)
    with_certificate.broker.tls.ca_file.write_bytes(stranger.public_bytes(PEM))
    fact = gather(config_file, with_certificate, clock, reach=False).certificate
    assert fact is not None
    assert not fact.is_issued_by_ours


def test_a_certificate_that_is_none_is_told(config_file, with_certificate, clock):
    with_certificate.broker.tls.cert_file.write_text("none")
    facts = gather(config_file, with_certificate, clock, reach=False)
    assert facts.certificate is None
    assert facts.certificate_error


def test_a_configuration_with_a_signing_key_names_its_file(config_file, clock, tmp_path):
    text = config_file.read_text()
    key = tmp_path / "sign.pem"
    config_file.write_text(
        text.replace('kind = "hls-gmac",', f'kind = "hls-gmac", signing_key_file = "{key}",')
    )
    facts = gather(config_file, load_config(config_file), clock, reach=False)
    assert key in [file.path for file in facts.secrets]
