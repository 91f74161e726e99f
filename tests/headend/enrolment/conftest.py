"""An authority, a head-end that enrols, and Mosquitto as deploy/mosquitto.conf prescribes it."""

import getpass
import random
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.clocks import StoppedClock

from quince.headend import wiring
from quince.headend.enrolment.authority import Authority, create_authority, write_key
from quince.headend.enrolment.dynamic_security import first_configuration
from quince.headend.enrolment.rules import control_grant, headend_grant
from quince.headend.enrolment.service import Enrolment, Terms
from quince.headend.enrolment.store import SqlEnrolmentStore
from quince.protocols.gateway.enrolment import sign_renewal

ROOT = Path(__file__).parents[3]
PLUGINS = (
    "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/mosquitto_dynamic_security.so",
)
CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(datetime(2026, 5, 2, 6, tzinfo=UTC))


@dataclass
class Office:
    """Enrolment over the registered database, and the revocation lists it published."""

    enrolment: Enrolment
    store: SqlEnrolmentStore
    authority: Authority
    published: list[x509.CertificateRevocationList]

    @property
    def revoked(self) -> set[str]:
        return {f"{entry.serial_number:x}" for entry in self.published[-1]}


@pytest.fixture
async def office(database: Path, tmp_path: Path, clock: StoppedClock) -> AsyncIterator[Office]:
    authority = create_authority(tmp_path / "ca", "test authority", now_utc=clock.now)
    published: list[x509.CertificateRevocationList] = []

    async def publish(octets: bytes) -> None:
        published.append(x509.load_pem_x509_crl(octets))

    terms = Terms(
        broker_host="broker.example",
        broker_port=8883,
        headend_url="https://headend.example:8443",
        signers={"headend": "ab" * 32},
        life=timedelta(days=365),
    )
    async with wiring.open_enrolment_store(database) as store:
        enrolment = Enrolment(
            store=store,
            authority=authority,
            terms=terms,
            clock=clock,
            random_octets=random.Random(15).randbytes,
            publish_list=publish,
        )
        yield Office(enrolment=enrolment, store=store, authority=authority, published=published)


class Device:
    """A key and what is signed with it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def request(self, name: str = "a gateway") -> x509.CertificateSigningRequest:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return (
            x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self.key, SHA256())
        )

    def csr(self, name: str = "a gateway") -> str:
        return self.request(name).public_bytes(Encoding.PEM).decode()

    def renewal(self, successor: "Device") -> tuple[str, bytes]:
        """What has the successor's key certified: its request, and the proof by this key."""
        request = successor.request()
        proof = sign_renewal(request.public_bytes(Encoding.DER), self.key)
        return request.public_bytes(Encoding.PEM).decode(), proof


@pytest.fixture
def new_device() -> Callable[[], Device]:
    return Device


class SecureMosquitto:
    """The production configuration, its paths filled in; an authority stands beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_utc = datetime.now(UTC)  # noqa: TID251 - the broker checks certificates by it
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.authority = create_authority(folder / "ca", "test authority", now_utc=self.now_utc)
        (folder / "ca.crt").write_text(self.authority.pem)
        self.sign_server("broker", ["localhost", "127.0.0.1"])
        for name in ("quince-control", "quince-headend-north"):
            self.sign_client(name)
        (folder / "data").mkdir()
        self.write_first()
        (folder / "mosquitto.conf").write_text(self._configuration())
        self.start()

    def _configuration(self) -> str:
        text = (ROOT / "deploy/mosquitto.conf").read_text()
        for here, there in {
            "/run/secrets/": f"{self.folder}/",
            "/mosquitto/device-ca/": f"{self.folder}/ca/",
            "/mosquitto/data/": f"{self.folder}/data/",
            PLUGINS[-1]: next(path for path in PLUGINS if Path(path).exists()),
            "listener 8883": f"listener {self.port} 127.0.0.1",
        }.items():
            assert here in text
            text = text.replace(here, there)
        return f"{text}user {getpass.getuser()}\n"

    def write_first(self) -> None:
        first = first_configuration([control_grant(), headend_grant("north")])
        (self.folder / "data/dynamic-security.json").write_text(first)

    def sign_client(self, name: str, authority: Authority | None = None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        signer = authority or self.authority
        certificate = signer.sign_client(
            name, key.public_key(), now_utc=self.now_utc, life=timedelta(days=1)
        )
        self.write_pair(name, key, certificate.public_bytes(Encoding.PEM))

    def sign_server(self, name: str, hosts: list[str]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.authority.sign_server(
            hosts, key.public_key(), now_utc=self.now_utc, life=timedelta(days=1)
        )
        self.write_pair(name, key, certificate.public_bytes(Encoding.PEM))

    def write_pair(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: bytes) -> None:
        (self.folder / f"{name}.key").unlink(missing_ok=True)
        write_key(self.folder / f"{name}.key", key)
        (self.folder / f"{name}.crt").write_bytes(certificate)

    def start(self) -> None:
        command = ["/usr/sbin/mosquitto", "-c", str(self.folder / "mosquitto.conf")]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail("mosquitto does not listen")

    def reload(self) -> None:
        self._process.send_signal(signal.SIGHUP)
        time.sleep(0.2)  # it looks at its signals once in its loop

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def connect(self, bearer: str | None, *, client_id: str = "", username: str = "") -> "Client":
        """Connect with a certificate; ConnectionError or ssl.SSLError where TLS refuses it."""
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        if bearer is not None:
            context.load_cert_chain(self.folder / f"{bearer}.crt", self.folder / f"{bearer}.key")
        return Client(self.port, context, client_id=client_id or bearer or "", username=username)


class Client:
    """MQTT 5 in a hundred octets: what it sends is what the test says, and nothing else."""

    def __init__(
        self, port: int, context: ssl.SSLContext, *, client_id: str, username: str
    ) -> None:
        self.heard: list[bytes] = []
        raw = socket.create_connection(("127.0.0.1", port), timeout=5)
        with ExitStack() as unless_let_in:
            self._socket = unless_let_in.enter_context(
                context.wrap_socket(raw, server_hostname="localhost")
            )
            flags = 0x82 if username else 0x02
            names = _text(client_id) + (_text(username) if username else b"")
            self._send(0x10, _text("MQTT") + bytes((5, flags, 0, 60, 0)) + names)
            kind, body = self._read()
            assert (kind, body[1]) == (CONNACK, 0)
            unless_let_in.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def publish(self, topic: str, payload: bytes = b"x") -> int:
        """Publish with QoS 1, and return the reason code."""
        self._send(0x32, _text(topic) + b"\0\x07\0" + payload)
        body = self._wait_for(PUBACK)
        return body[2] if len(body) > 2 else 0

    def subscribe(self, pattern: str) -> int:
        """Subscribe with QoS 1, and return the reason code."""
        self._send(0x82, b"\0\x09\0" + _text(pattern) + b"\x01")
        return self._wait_for(SUBACK)[-1]

    def hear(self) -> bytes:
        """Wait for a message."""
        while not self.heard:
            self._take()
        return self.heard.pop(0)

    def ping(self) -> None:
        self._send(0xC0, b"")
        self._wait_for(0xD0)

    def _wait_for(self, kind: int) -> bytes:
        while True:
            found, body = self._take()
            if found == kind:
                return body

    def _take(self) -> tuple[int, bytes]:
        kind, body = self._read()
        if kind & 0xF0 == PUBLISH:
            self.heard.append(body)
        return kind & 0xF0, body

    def _send(self, kind: int, body: bytes) -> None:
        assert len(body) < 16_384
        size = len(body)
        length = bytes((size,)) if size < 128 else bytes((size % 128 | 0x80, size // 128))
        self._socket.sendall(bytes((kind,)) + length + body)

    def _read(self) -> tuple[int, bytes]:
        kind, size, shift = self._exactly(1)[0], 0, 0
        while True:
            octet = self._exactly(1)[0]
            size |= (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                return kind, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            part = self._socket.recv(size - len(octets))
            if not part:
                raise ConnectionError("the broker hung up")
            octets += part
        return octets


def _text(text: str) -> bytes:
    return len(text).to_bytes(2) + text.encode()


@pytest.fixture(scope="module")
def new_broker(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[], SecureMosquitto]]:
    """Start brokers; they end with the module."""
    if shutil.which("mosquitto", path="/usr/sbin") is None:
        pytest.skip("mosquitto is not installed (`make mosquitto`)")
    brokers: list[SecureMosquitto] = []

    def start() -> SecureMosquitto:
        brokers.append(SecureMosquitto(tmp_path_factory.mktemp("broker")))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.stop()
