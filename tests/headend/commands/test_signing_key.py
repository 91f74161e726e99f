"""The file the signing key is in."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from quince.headend.commands.signing_key import new_signer, read_signer
from quince.model.errors import InvalidValueError


def test_a_new_key_is_its_owners_alone_and_reads_back(tmp_path):
    path = tmp_path / "command.pem"
    made = new_signer("headend", path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_signer("headend", path).public_key_hex == made.public_key_hex
    assert len(made.public_key_hex) == 64


def test_a_key_is_never_written_over(tmp_path):
    path = tmp_path / "command.pem"
    new_signer("headend", path)
    before = path.read_bytes()
    with pytest.raises(InvalidValueError, match="one already"):
        new_signer("headend", path)
    assert path.read_bytes() == before


def test_a_key_others_can_read_is_not_used(tmp_path):
    path = tmp_path / "command.pem"
    new_signer("headend", path)
    path.chmod(0o640)
    with pytest.raises(InvalidValueError, match="chmod 600"):
        read_signer("headend", path)


def pem_of_another_kind() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("octets", "reason"), [(b"", "no private key"), (pem_of_another_kind(), "not an Ed25519 key")]
)
def test_what_is_no_signing_key_is_refused(tmp_path, octets, reason):
    path = tmp_path / "command.pem"
    path.write_bytes(octets)
    path.chmod(0o600)
    with pytest.raises(InvalidValueError, match=reason):
        read_signer("headend", path)


def test_a_key_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidValueError, match=r"command\.pem"):
        read_signer("headend", tmp_path / "command.pem")
