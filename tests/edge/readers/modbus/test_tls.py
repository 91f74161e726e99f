"""Modbus behind TLS: both ends show a certificate, and believe one authority's alone."""

import asyncio
import datetime as dt
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quince.edge.config import TlsConfig
from quince.edge.errors import TransportError
from quince.edge.profiles.catalogue import load_profile
from quince.edge.readers.modbus import line as modbus_line
from quince.edge.readers.modbus.line import ModbusLine, open_port
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.config import (
    TlsConfig as ServerTlsConfig,
    serve_line,
    server_context,
)
from quince.firmware_sims.modbus.faults import Faults
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.model.clock import SystemClock
from quince.model.errors import InvalidValueError
from quince.protocols.modbus.points import Table

HERE = ("127.0.0.1", 0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a fifth of a second for an answer."""
    monkeypatch.setattr(modbus_line, "REPLY_S_MAX", 0.2)


async def code(url: str, tls: TlsConfig) -> int:
    """Read the meter's identification code."""
    async with open_port(ModbusLine(url=url, device_id=7, tls=tls), 0.0) as port:
        (word,) = await port.read(Table.HOLDING, 11, 1)
        return word


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        self._sign("ca", self._name, self._key, ca=True)

    def issue(self, name: str) -> TlsConfig:
        """Return a certificate for a server or client of this name at 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._sign(name, subject, key, ca=False)
        return TlsConfig(
            ca_file=self._folder / "ca.pem",
            cert_file=self._folder / f"{name}.pem",
            key_file=self._folder / f"{name}.key",
        )

    def _sign(
        self, file: str, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool
    ) -> None:
        now = SystemClock().now_utc()
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(address, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        (self._folder / f"{file}.pem").write_bytes(certificate.public_bytes(pem))
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / f"{file}.key").write_bytes(private)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def tls_line(certificate: TlsConfig) -> Any:
    link = ServerTlsConfig(kind="tls", **certificate.model_dump())
    meter = ModbusMeter(
        Household(seed=7),
        Supply(),
        SystemClock(),
        profile=load_profile("carlo_gavazzi_em24"),
        device_id=7,
    )
    return serve_line(meter, link, HERE, Faults())


async def test_a_meter_is_read_over_tls(authority: Authority) -> None:
    async with tls_line(authority.issue("meter")) as port:
        assert await code(f"modbus+tls://127.0.0.1:{port}", authority.issue("edge")) == 45


async def test_a_meter_of_another_authority_is_not_believed(
    authority: Authority, tmp_path: Path
) -> None:
    async with tls_line(Authority(tmp_path / "other").issue("meter")) as port:
        with pytest.raises(TransportError, match="certificate verify failed"):
            await code(f"modbus+tls://127.0.0.1:{port}", authority.issue("edge"))


async def test_a_meter_under_another_name_is_not_believed(authority: Authority) -> None:
    async with tls_line(authority.issue("meter")) as port:
        with pytest.raises(TransportError, match="certificate verify failed"):
            await code(f"modbus+tls://localhost:{port}", authority.issue("edge"))


@pytest.mark.usefixtures("impatient")
async def test_a_gateway_of_another_authority_is_told_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other").issue("edge")
    believing = stranger.model_copy(update={"ca_file": tmp_path / "authority" / "ca.pem"})
    async with tls_line(authority.issue("meter")) as port:
        with pytest.raises(TransportError):
            await code(f"modbus+tls://127.0.0.1:{port}", believing)


async def test_a_certificate_that_is_not_there_is_named(authority: Authority) -> None:
    nowhere = authority.issue("edge").model_copy(update={"key_file": Path("/nowhere")})
    with pytest.raises(InvalidValueError, match="tls"):
        await code("modbus+tls://127.0.0.1:1", nowhere)


async def test_an_answer_in_two_tls_records_is_one_answer(authority: Authority) -> None:
    # What pymodbus's own TLS client takes for two frames that cannot be.
    async def halve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transaction = (await reader.readexactly(12))[:2]
        for half in (transaction + b"\0\0\0\5\7", b"\3\2\0\x2d"):
            writer.write(half)
            await asyncio.sleep(0.05)
        writer.close()

    certificate = ServerTlsConfig(kind="tls", **authority.issue("meter").model_dump())
    context = server_context(certificate)
    async with await asyncio.start_server(halve, *HERE, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        assert await code(f"modbus+tls://127.0.0.1:{port}", authority.issue("edge")) == 45


def test_certificates_are_for_tls_alone(authority: Authority) -> None:
    with pytest.raises(InvalidValueError, match="with modbus\\+tls, and with nothing else"):
        ModbusLine(url="modbus+tcp://127.0.0.1:502", device_id=1, tls=authority.issue("edge"))
