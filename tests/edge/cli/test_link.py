"""`signal`, against a broker's and a head-end's stand-ins on real sockets."""

import asyncio
import json
import random
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from quince.edge.outbox.store import Outbox, Round
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

CONFIG = """
gateway = "gw-1"
cell = "sv-1"
outbox = "{folder}/outbox.db"
broker = {{ host = "localhost", port = {port}{tls} }}
{headend}
[[meters]]
kind = "sml"
id = "M1"
url = "serial:/dev/ttyUSB0"
utc_offset_min = 60
"""
NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)


@asynccontextmanager
async def answering(*answers, context=None):
    """Serve a stand-in that answers what it hears, in this order; gives back its port."""

    async def handle(reader, writer):
        for answer in answers:
            await reader.read(1000)
            writer.write(answer)
        await reader.read(1000)
        writer.close()

    async with await asyncio.start_server(handle, "localhost", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def configure(tmp_path, stopped_clock):
    def write(port, *, tls="", headend=""):
        assert stopped_clock.now_utc() == NOW
        text = CONFIG.format(folder=tmp_path, port=port, tls=tls, headend=headend)
        (tmp_path / "gateway.toml").write_text(text)

    return write


def checks(capsys):
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


WELCOME, PONG = bytes.fromhex("2003000000"), bytes.fromhex("d000")
QUEUED = bytes.fromhex("3205000161000100")[:7]  # what waits for the gateway is not ours


def test_a_session_is_measured_only_when_asked_for(quince, background, configure, capsys):
    configure(background.serve(answering()))
    assert quince("signal", "--json") == 0
    found = checks(capsys)
    assert found["connection"]["outcome"] == "ok"
    assert found["session"]["outcome"] == "skipped"
    assert found["outbox"]["outcome"] == "skipped"


def test_a_round_trip_is_measured_past_what_waits_there(quince, background, configure, capsys):
    configure(background.serve(answering(WELCOME + QUEUED, PONG)))
    assert quince("signal", "--session", "--json") == 0
    assert checks(capsys)["session"]["measured"]["took_ms"] >= 0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(bytes.fromhex("2003008700"), "refused with 0x87"), (b"\x30\xff\xff\xff\xff", "four octets")],
)
def test_a_refusal_is_told(quince, background, configure, capsys, answer, reason):
    configure(background.serve(answering(answer)))
    assert quince("signal", "--session", "--json") == 5
    assert reason in checks(capsys)["session"]["reason"]


def test_a_broker_that_is_not_there_ends_in_its_own_code(quince, configure, capsys):
    configure(1)
    assert quince("signal") == 5
    assert "connection" in capsys.readouterr().out


def test_what_waits_in_the_outbox_is_counted(quince, background, configure, tmp_path, capsys):
    with Outbox(tmp_path / "outbox.db", random.Random(1)) as outbox:
        outbox.record(Round(messages=((Lane.EVENTS, Content()), (Lane.LIVE, Content()))))
    configure(background.serve(answering()))
    assert quince("signal", "--json") == 0
    assert checks(capsys)["outbox"]["measured"] == {"messages": 2.0}


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b"HTTP/1.1 404 Not Found\r\nDate: Sat, 02 May 2026 06:05:01 GMT\r\n\r\n", "ok"),
        (b"HTTP/1.1 200 OK\r\ndate: Sat, 02 May 2026 05:05:01 GMT\r\n\r\n", "warning"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "skipped"),
        (b"HTTP/1.1 200 OK\r\nDate: tomorrow\r\n\r\n", "failed"),
        (b"x" * 200_000, "failed"),
    ],
)
def test_the_clock_is_compared_with_the_head_ends(
    quince, background, configure, capsys, head, outcome
):
    port = background.serve(answering(head))
    headend = f'headend = {{ url = "http://localhost:{port}" }}'
    configure(background.serve(answering()), headend=headend)
    quince("signal", "--json")
    assert checks(capsys)["clock"]["outcome"] == outcome


# -- TLS ---------------------------------------------------------------------------------


@pytest.fixture
def certificates(tmp_path):
    """One self-signed certificate for both sides, which ends in ten days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=30))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (tmp_path / "own.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "own.key").write_bytes(secret)
    return tmp_path


def test_the_handshake_and_both_certificates_are_looked_at(
    quince, background, configure, certificates, capsys
):

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    port = background.serve(answering(context=context))
    files = {"ca_file": "own.pem", "cert_file": "own.pem", "key_file": "own.key"}
    tls = ", ".join(f'{name} = "{certificates / file}"' for name, file in files.items())
    configure(port, tls=f", tls = {{ {tls} }}")
    assert quince("signal", "--json") == 0
    found = checks(capsys)
    assert found["tls"]["measured"]["version"] == "TLSv1.3"
    assert found["broker_certificate"]["outcome"] == "ok"
    assert found["own_certificate"]["measured"]["subject"] == "CN=localhost"


def test_a_certificate_that_is_not_there_is_told(quince, background, configure, capsys, tmp_path):
    port = background.serve(answering())
    files = ", ".join(
        f'{name} = "{tmp_path}/none"' for name in ("ca_file", "cert_file", "key_file")
    )
    configure(port, tls=f", tls = {{ {files} }}")
    assert quince("signal", "--json") == 5
    found = checks(capsys)
    assert found["own_certificate"]["outcome"] == "failed"
    assert found["tls"]["outcome"] == "failed"
