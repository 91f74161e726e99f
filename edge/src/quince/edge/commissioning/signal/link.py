"""Looks at the link step by step, as the gateway of a configuration would use it.

Law: a running gateway is not disturbed, unless `greets` allows it: a second session of the same
name makes the broker end the first, which then comes back by itself.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
from cryptography import x509

from quince.edge.commissioning.signal.check import Check, Outcome
from quince.edge.commissioning.signal.mqtt_greeting import (
    CONNACK,
    PINGREQ,
    PINGRESP,
    Greeting,
    PacketReader,
    reason_of,
)
from quince.edge.commissioning.signal.wireless import radios
from quince.edge.config import BrokerConfig, GatewayConfig, TlsConfig
from quince.edge.errors import OutboxError
from quince.edge.headend_door import open_client
from quince.edge.outbox import view as outbox_view
from quince.edge.uplink.mqtt import SESSION_EXPIRY_S, tls_context
from quince.model.clock import Clock
from quince.model.errors import CodecError, QuinceError

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

STEP_S_MAX = 10.0
LIFE_MIN = timedelta(days=14)  # what a renewal that fails leaves to notice it
OFFSET_S_MAX = 2.0  # a Date header tells whole seconds
_READ_OCTETS_MAX = 65_536
WIRELESS = Path("/proc/net/wireless")


async def look(config: GatewayConfig, clock: Clock, *, greets: bool) -> AsyncIterator[Check]:
    """Give check after check; what stands in the way of one ends those behind it."""
    for radio in radios(_text_of(WIRELESS)):
        yield radio
    yield waiting(config.outbox)
    if config.broker.tls is not None:
        yield own_certificate(config.broker.tls, clock)
    async for check in _broker(config, clock, greets=greets):
        yield check
    if config.headend is not None:
        yield await offset(config.headend.url, config.headend.ca_file, clock)


def waiting(outbox: Path) -> Check:
    """Count what waits in the outbox."""
    try:
        messages = outbox_view.look(outbox).messages
    except OutboxError as error:
        return Check(name="outbox", outcome=Outcome.SKIPPED, reason=str(error))
    return Check(name="outbox", outcome=Outcome.OK, measured={"messages": float(messages)})


def own_certificate(tls: TlsConfig, clock: Clock) -> Check:
    """Say how long the gateway's certificate lasts."""
    try:
        certificate = x509.load_pem_x509_certificate(tls.cert_file.read_bytes())
    except (OSError, ValueError) as error:
        return Check(name="own_certificate", outcome=Outcome.FAILED, reason=str(error))
    subject = certificate.subject.rfc4514_string()
    return _life("own_certificate", subject, certificate.not_valid_after_utc, clock)


def _life(name: str, subject: str, ends_utc: datetime, clock: Clock) -> Check:
    left = ends_utc - clock.now_utc()
    outcome, reason = Outcome.OK, ""
    if left < LIFE_MIN:
        outcome, reason = Outcome.WARNING, "ends soon"
    if left <= timedelta(0):
        outcome, reason = Outcome.FAILED, "has ended"
    days = round(left / timedelta(days=1), 1)
    return Check(
        name=name, outcome=outcome, reason=reason, measured={"subject": subject, "days_left": days}
    )


# -- the broker --------------------------------------------------------------------------


async def _broker(config: GatewayConfig, clock: Clock, *, greets: bool) -> AsyncIterator[Check]:
    broker, loop = config.broker, asyncio.get_running_loop()
    begun_s = loop.time()
    name = "connection"
    try:
        async with asyncio.timeout(STEP_S_MAX):
            streams = await asyncio.open_connection(broker.host, broker.port)
        try:
            yield _took(name, begun_s)
            name, begun_s = "tls", loop.time()
            context = tls_context(broker)
            if context is not None:
                for check in await _handshake(streams, broker.host, context, clock, begun_s):
                    yield check
            name = "session"
            if greets:
                yield await _greet(streams, broker, config.gateway)
            else:
                yield Check(name=name, outcome=Outcome.SKIPPED, reason="not asked for: --session")
        finally:
            streams[1].transport.abort()
    except (OSError, TimeoutError, QuinceError) as error:
        reason = str(error) or f"no answer in {STEP_S_MAX:.0f} s"
        yield Check(name=name, outcome=Outcome.FAILED, reason=reason)


def _took(name: str, begun_s: float, **measured: float | str) -> Check:
    took_ms = round((asyncio.get_running_loop().time() - begun_s) * 1000, 1)
    return Check(name=name, outcome=Outcome.OK, measured={"took_ms": took_ms, **measured})


async def _handshake(
    streams: _Streams, host: str, context: ssl.SSLContext, clock: Clock, begun_s: float
) -> list[Check]:
    """Go over to TLS on an open connection, and look at the other side's certificate."""
    async with asyncio.timeout(STEP_S_MAX):
        await streams[1].start_tls(context, server_hostname=host)
    octets = streams[1].get_extra_info("ssl_object").getpeercert(binary_form=True)
    certificate = x509.load_der_x509_certificate(octets)
    version = streams[1].get_extra_info("ssl_object").version()
    issuer = certificate.issuer.rfc4514_string()
    subject, ends_utc = certificate.subject.rfc4514_string(), certificate.not_valid_after_utc
    return [
        _took("tls", begun_s, version=version, issuer=issuer),
        _life("broker_certificate", subject, ends_utc, clock),
    ]


async def _greet(streams: _Streams, broker: BrokerConfig, gateway: str) -> Check:
    """Begin the gateway's session and measure a round trip in it; nothing in it is taken."""
    greeting = Greeting(
        client_id=gateway,
        session_expiry_s=SESSION_EXPIRY_S,
        username=broker.username,
        password=None if broker.password is None else broker.password.get_secret_value(),
    )
    loop, packets = asyncio.get_running_loop(), PacketReader()
    async with asyncio.timeout(STEP_S_MAX):
        streams[1].write(greeting.encode())
        reason = reason_of(await _packet(streams[0], packets, CONNACK))
        if reason:
            return Check(
                name="session", outcome=Outcome.FAILED, reason=f"refused with {reason:#04x}"
            )
        begun_s = loop.time()
        streams[1].write(PINGREQ)
        await _packet(streams[0], packets, PINGRESP)
    return _took("session", begun_s)


async def _packet(reader: asyncio.StreamReader, packets: PacketReader, kind: int) -> bytes:
    while True:
        packet = packets.next_packet()
        if packet is None:
            octets = await reader.read(_READ_OCTETS_MAX)
            if not octets:
                raise CodecError("the broker closed the connection")
            packets.receive_data(octets)
        elif packet[0] == kind:
            return packet[1]


# -- the clock ---------------------------------------------------------------------------


async def offset(url: str, ca_file: Path | None, clock: Clock) -> Check:
    """Compare this computer's clock with the Date that the head-end's own door answers with."""
    try:
        async with asyncio.timeout(STEP_S_MAX), open_client(url, ca_file=ca_file) as client:
            date = (await client.head("/")).headers.get("date")
        if date is None:
            return Check(name="clock", outcome=Outcome.SKIPPED, reason="the head-end tells no date")
        theirs_utc = parsedate_to_datetime(date).astimezone(UTC)
    except (httpx.HTTPError, QuinceError, TimeoutError, ValueError) as error:
        return Check(name="clock", outcome=Outcome.FAILED, reason=str(error) or "no answer")
    offset_s = round((clock.now_utc() - theirs_utc).total_seconds(), 1)
    is_off = abs(offset_s) > OFFSET_S_MAX
    return Check(
        name="clock",
        outcome=Outcome.WARNING if is_off else Outcome.OK,
        reason="this computer's clock is off" if is_off else "",
        measured={"offset_s": offset_s},
    )


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:  # no such thing on this computer
        return ""
