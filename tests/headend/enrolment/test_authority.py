"""The device authority: its folder, what it signs, what it takes back."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from quince.headend.enrolment.authority import (
    AUTHORITY_LIFE,
    create_authority,
    open_authority,
    write_key,
    write_revocation_list,
)
from quince.model.errors import InvalidValueError

NOW = datetime(2026, 5, 2, 6, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_authority(tmp_path / "ca", "Cooperativa Quince", now_utc=NOW)
    return tmp_path / "ca"


def key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def test_the_authoritys_key_is_its_owners_alone(folder: Path) -> None:
    assert stat.S_IMODE((folder / "ca.key").stat().st_mode) == 0o600


def test_an_authority_signs_certificates_and_no_further_authorities(folder: Path) -> None:
    certificate = open_authority(folder).certificate
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert certificate.subject.rfc4514_string() == "CN=Cooperativa Quince"


def test_an_authority_is_not_made_over_another(folder: Path) -> None:
    before = (folder / "ca.crt").read_bytes()
    with pytest.raises(InvalidValueError, match="one already"):
        create_authority(folder, "another", now_utc=NOW)
    assert (folder / "ca.crt").read_bytes() == before


def test_a_folder_without_an_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="no authority's folder"):
        open_authority(tmp_path)


def test_a_key_of_another_authority_is_refused(folder: Path, tmp_path: Path) -> None:
    create_authority(tmp_path / "other", "another", now_utc=NOW)
    (tmp_path / "other/ca.key").replace(folder / "ca.key")
    with pytest.raises(InvalidValueError, match="do not match"):
        open_authority(folder)


def test_a_servers_certificate_bears_its_names_and_addresses(folder: Path) -> None:
    signed = open_authority(folder).sign_server(
        ["broker.example", "10.0.0.1"], key(), now_utc=NOW, life=YEAR
    )
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    usages = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_nothing_it_signs_outlives_it(folder: Path) -> None:
    authority = open_authority(folder)
    late = NOW + AUTHORITY_LIFE - timedelta(days=1)
    signed = authority.sign_client("gw-1", key(), now_utc=late, life=YEAR)
    assert signed.not_valid_after_utc == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_no_certificate_can_bear_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match="characters"):
        open_authority(folder).sign_client(name, key(), now_utc=NOW, life=YEAR)


def test_a_host_that_is_no_name_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidValueError, match="ASCII"):
        open_authority(folder).sign_server(["brokér"], key(), now_utc=NOW, life=YEAR)


def test_there_is_a_list_from_the_first_day_good_as_long_as_the_authority(folder: Path) -> None:
    listed = x509.load_pem_x509_crl((folder / "ca.crl").read_bytes())
    authority = open_authority(folder)
    assert list(listed) == []
    assert listed.next_update_utc == authority.certificate.not_valid_after_utc
    assert listed.is_signature_valid(authority.key.public_key())


def test_a_list_takes_the_old_ones_place_and_everyone_may_read_it(folder: Path) -> None:
    octets = open_authority(folder).revocation_list([("c0ffee", NOW)], now_utc=NOW)
    write_revocation_list(folder, octets)
    listed = x509.load_pem_x509_crl((folder / "ca.crl").read_bytes())
    assert listed.get_revoked_certificate_by_serial_number(0xC0FFEE) is not None
    assert stat.S_IMODE((folder / "ca.crl").stat().st_mode) == 0o644
    assert not (folder / "ca.crl.new").exists()


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "broker.key"
    write_key(path, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(InvalidValueError, match="one already"):
        write_key(path, ec.generate_private_key(ec.SECP256R1()))
