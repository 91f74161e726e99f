"""Finds out on what a gateway stands: files, disk, lines, clock, broker, the agent beside it.

Law: looking changes nothing, opens no line to a meter, and ends within seconds.
"""

import ctypes
import grp
import os
import shutil
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from quince.edge.config import BrokerConfig, DlmsMeterConfig, GatewayConfig, revision_file
from quince.edge.errors import OutboxError
from quince.edge.health.heartbeat import health_file, read_health
from quince.edge.health.memory import available_kb
from quince.edge.outbox.view import OutboxView, look
from quince.edge.transports.address import bus_of
from quince.edge.uplink.mqtt import tls_context
from quince.model.clock import Clock

CONNECT_S_MAX = 5.0
# In TLS 1.3 a broker refuses a client's certificate after the handshake, if at all.
_REFUSAL_S = 1.0
# adjtimex(2) fills its structure, some 200 octets, and returns 5 for a clock nothing steers.
_TIMEX_OCTETS, _TIME_ERROR = 1024, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFact:
    """A file with secrets in it: its permissions, None if there is no such file."""

    path: Path
    mode: int | None
    readable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFact:
    """A line's device; `group` is whose members may use it."""

    path: str
    exists: bool
    usable: bool
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFact:
    """Whether the broker answers; `error` says what came instead."""

    host: str
    port: int
    tls: bool
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFact:
    """The gateway's certificate, and whether the authorities of its `ca_file` issued it."""

    not_before_utc: datetime
    not_after_utc: datetime
    is_issued_by_ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything `doctor` judges by."""

    now_utc: datetime
    gateway: str
    meters: int
    secrets: tuple[FileFact, ...]
    outbox: OutboxView | None
    outbox_error: str
    outbox_folder_writable: bool
    disk_bytes_free: int
    devices: tuple[DeviceFact, ...]
    clock_steered: bool | None
    broker: BrokerFact | None
    certificate: CertificateFact | None
    certificate_error: str
    health: dict[str, Any] | None
    memory_available_kb: int | None


def gather(config_path: Path, config: GatewayConfig, clock: Clock, *, reach: bool) -> Facts:
    """Return the facts of the gateway this configuration describes, on this machine.

    `reach` connects to the broker, which takes up to CONNECT_S_MAX, and longer behind a slow DNS.
    """
    outbox, outbox_error = _outbox(config.outbox)
    certificate, certificate_error = _certificate(config.broker)
    folder = _nearest(config.outbox.parent)
    return Facts(
        now_utc=clock.now_utc(),
        gateway=config.gateway,
        meters=len(config.meters),
        secrets=tuple(_file(path) for path in secret_files(config_path, config)),
        outbox=outbox,
        outbox_error=outbox_error,
        outbox_folder_writable=os.access(config.outbox.parent, os.W_OK | os.X_OK),
        disk_bytes_free=shutil.disk_usage(folder).free,
        devices=tuple(_device(path) for path in _device_paths(config)),
        clock_steered=_clock_steered(),
        broker=_broker(config.broker) if reach else None,
        certificate=certificate,
        certificate_error=certificate_error,
        health=read_health(health_file(config)),
        memory_available_kb=available_kb(),
    )


def secret_files(config_path: Path, config: GatewayConfig) -> list[Path]:
    """Return the files that hold keys or passwords."""
    files = [config_path, config.outbox]
    if revision_file(config.outbox).exists():
        files.append(revision_file(config.outbox))
    if config.broker.tls is not None:
        files.append(config.broker.tls.key_file)
    for meter in config.meters:
        if isinstance(meter, DlmsMeterConfig):
            names = ("signing_key_file", "agreement_key_file")
            found = (getattr(meter.security, name, None) for name in names)
            files.extend(path for path in found if path is not None)
    return list(dict.fromkeys(files))


def _file(path: Path) -> FileFact:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        mode = None
    return FileFact(path=path, mode=mode, readable=os.access(path, os.R_OK))


def _outbox(path: Path) -> tuple[OutboxView | None, str]:
    try:
        return look(path), ""
    except OutboxError as error:
        return None, str(error)


def _nearest(folder: Path) -> Path:
    """Return the folder itself, or the nearest one above it that there is."""
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))


def _device_paths(config: GatewayConfig) -> list[str]:
    buses = dict.fromkeys(bus_of(meter.url) for meter in config.meters)
    return [bus for bus in buses if bus.startswith("/")]


def _device(path: str) -> DeviceFact:
    try:
        owner = Path(path).stat()
    except OSError:
        return DeviceFact(path=path, exists=False, usable=False)
    group = str(owner.st_gid)
    with suppress(KeyError):
        group = grp.getgrgid(owner.st_gid).gr_name
    usable = os.access(path, os.R_OK | os.W_OK)
    return DeviceFact(path=path, exists=True, usable=usable, group=group)


def _clock_steered() -> bool | None:
    """Ask the kernel whether anything (NTP, PTP, GNSS) steers its clock; None if it cannot say."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_OCTETS))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _broker(broker: BrokerConfig) -> BrokerFact:
    error = ""
    try:
        with socket.create_connection((broker.host, broker.port), CONNECT_S_MAX) as plain:
            _shake_hands(plain, broker)
    except (OSError, ValueError) as refusal:  # ssl's errors are of these
        error = str(refusal) or type(refusal).__name__
    return BrokerFact(host=broker.host, port=broker.port, tls=broker.tls is not None, error=error)


def _shake_hands(plain: socket.socket, broker: BrokerConfig) -> None:
    context: ssl.SSLContext | None = tls_context(broker)
    if context is None:
        return
    with context.wrap_socket(plain, server_hostname=broker.host) as secured:
        secured.settimeout(_REFUSAL_S)
        with suppress(TimeoutError):
            if secured.recv(1) == b"":
                raise OSError("the broker hung up after the handshake")


def _certificate(broker: BrokerConfig) -> tuple[CertificateFact | None, str]:
    if broker.tls is None:
        return None, ""
    try:
        own = x509.load_pem_x509_certificate(broker.tls.cert_file.read_bytes())
        authorities = x509.load_pem_x509_certificates(broker.tls.ca_file.read_bytes())
    except (OSError, ValueError) as error:
        return None, str(error)
    fact = CertificateFact(
        not_before_utc=own.not_valid_before_utc,
        not_after_utc=own.not_valid_after_utc,
        is_issued_by_ours=any(_issued(own, authority) for authority in authorities),
    )
    return fact, ""


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):  # another's signature, name or kind of key
        return False
    return True
