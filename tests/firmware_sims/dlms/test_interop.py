"""An independent reader, dlms-cosem 21.3.2, reads our meter over real sockets."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
import serial
from dlms_cosem import cosem as theirs, enumerations, utils
from dlms_cosem.clients.blocking_tcp_transport import BlockingTcpTransport
from dlms_cosem.clients.dlms_client import DlmsClient
from dlms_cosem.clients.hdlc_transport import SerialHdlcTransport
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import serve_hdlc, serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Authentication, Gmac, NoSecurity, Password
from quince.protocols.dlms.security.suite import Keys

ENCRYPTION, AUTHENTICATION = bytes(range(16)), bytes(range(0xD0, 0xE0))
KEYS = Keys(encryption=ENCRYPTION, authentication=AUTHENTICATION)
HOME = Household(seed=7)
SECURITY: dict[str, dict[str, Any]] = {
    "none": {},
    "password": {
        "authentication_method": enumerations.AuthenticationMechanism.LLS,
        "password": b"12345678",
    },
    "gmac": {
        "authentication_method": enumerations.AuthenticationMechanism.HLS_GMAC,
        "encryption_key": ENCRYPTION,
        "authentication_key": AUTHENTICATION,
        "client_system_title": b"CLI\x00\x00\x00\x00\x01",
        "client_initial_invocation_counter": 1,
    },
}
OURS: dict[str, Authentication] = {
    "none": NoSecurity(),
    "password": Password(secret=b"12345678"),
    "gmac": Gmac(system_title=b"MTR\x00\x00\x00\x00\x01", keys=KEYS, counters=MemoryCounters()),
}


def _attribute(interface: Any, name: tuple[int, ...], index: int = 2) -> Any:
    return theirs.CosemAttribute(interface=interface, instance=theirs.Obis(*name), attribute=index)


CLOCK = _attribute(enumerations.CosemInterface.CLOCK, (0, 0, 1, 0, 0))
REGISTER = _attribute(enumerations.CosemInterface.REGISTER, (1, 0, 1, 8, 0))
PROFILE = _attribute(enumerations.CosemInterface.PROFILE_GENERIC, (1, 0, 99, 1, 0))


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """It logs every frame, and the password in the AARQ."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _meter(clock: Any, security: str) -> DlmsMeter:
    return DlmsMeter(
        device_id="Q-1",
        household=HOME,
        supply=Supply(),
        clock=clock,
        accepts=(OURS[security],),
        rng=Random(1),
    )


def _read(io: Any, security: str, to: datetime) -> tuple[bytes, int, list[list[Any]]]:
    """Read clock, register and an hour or more of the profile; blocking, for a thread."""
    client = DlmsClient(
        client_logical_address=16,
        server_logical_address=1,
        io_interface=io,
        **SECURITY[security],
    )
    selection = RangeDescriptor(
        restricting_object=CaptureObject(cosem_attribute=CLOCK),
        from_value=datetime(2025, 3, 2, 0, 0),  # noqa: DTZ001 - its way to leave the deviation out
        to_value=to,
    )
    client.connect()
    client.associate()
    read = (
        utils.parse_as_dlms_data(client.get(CLOCK)),
        utils.parse_as_dlms_data(client.get(REGISTER)),
        utils.parse_as_dlms_data(client.get(PROFILE, selection)),
    )
    client.release_association()
    return read


def _check(clock: Any, clock_octets: bytes, register_wh: int, rows: list[list[Any]]) -> None:
    midnight = datetime(2025, 3, 2, 6, 0, tzinfo=UTC)
    assert clock_octets == bytearray.fromhex("07e90303010c071e00016800")
    assert register_wh == HOME.register_wh(clock.now_utc())
    assert rows[0][2] == HOME.register_wh(midnight)
    assert rows[1][2] - rows[0][2] == HOME.interval_wh(midnight)


@pytest.mark.parametrize("security", ["none", "password", "gmac"])
async def test_the_wrapper_is_read_by_another_library(clock: Any, security: str) -> None:
    async with await serve_wrapper(_meter(clock, security), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        io = BlockingTcpTransport(
            host="127.0.0.1",
            port=port,
            client_logical_address=16,
            server_logical_address=1,
        )
        a_day_later = datetime(2025, 3, 3, 0, 0)  # noqa: DTZ001 - as above
        read = await asyncio.to_thread(_read, io, security, a_day_later)
        io.disconnect()
    assert len(read[2]) == 97
    _check(clock, *read)


@contextmanager
def _serial_over_tcp(port: int) -> Iterator[Any]:
    line = serial.serial_for_url(f"socket://127.0.0.1:{port}", timeout=5)
    try:
        yield SerialHdlcTransport(
            client_logical_address=16,
            server_logical_address=1,
            serial_port="",
            serial=line,
        )
    finally:
        line.close()


async def test_hdlc_is_read_by_another_library(clock: Any) -> None:
    """It hangs on a frame whose check sequence ends in 7E (one in 256), hence an hour alone.

    It also cannot read the UA that answers its DISC, which has no information, hence no DISC.
    """

    def read(port: int) -> tuple[bytes, int, list[list[Any]]]:
        an_hour_later = datetime(2025, 3, 2, 1, 0)  # noqa: DTZ001 - as above
        with _serial_over_tcp(port) as io:
            return _read(io, "password", an_hour_later)

    async with await serve_hdlc(_meter(clock, "password"), "127.0.0.1", 0) as server:
        result = await asyncio.to_thread(read, server.sockets[0].getsockname()[1])
    assert len(result[2]) == 5
    _check(clock, *result)
