"""Searches a network: which hosts have a meter's port open, and what is spoken there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network

from quince.edge.commissioning.scan.found import Found, Watcher
from quince.edge.commissioning.scan.plan import Family, Scope, likely_addresses
from quince.edge.commissioning.scan.probes import Answer, ask_dlms, ask_modbus
from quince.edge.commissioning.scan.recognition import recognise
from quince.edge.commissioning.scan.serial_line import dlms_fields, dlms_line
from quince.edge.errors import TransportError
from quince.edge.readers.dlms.line import DlmsLine
from quince.edge.readers.modbus.line import ModbusLine
from quince.edge.transports import Transport, open_transport
from quince.model.errors import InvalidValueError
from quince.model.rng import Rng

# A /22: what one site has. A search beyond is for tools that watch what they do to a network.
HOSTS_MAX = 1024
PORTS_MAX = 16
# Modbus, DLMS, and where serial servers usually listen.
PORTS = (502, 4059, 4001, 10_001)
_MODBUS_PORT = 502
FEW = range(1, 11)  # a gateway makes us wait seconds for each device it does not reach
_AT_ONCE_MAX = 64  # a laptop's network has room for that, and a small switch's table too
_CONNECT_S = 2.0
_ANSWER_S, _SERIAL_ANSWER_S = 2.0, 1.0


def hosts_of(cidr: str) -> list[str]:
    """Return the addresses of `192.168.1.0/24`; InvalidValueError if it is none, or too large."""
    try:
        network = ip_network(cidr, strict=False)
    except ValueError as error:
        raise InvalidValueError("--tcp", cidr, str(error)) from None
    if network.num_addresses > HOSTS_MAX + 2:
        raise InvalidValueError("--tcp", cidr, f"at most {HOSTS_MAX} hosts")
    return [str(host) for host in network.hosts()]


async def search_network(
    hosts: Sequence[str], ports: Sequence[int], scope: Scope, watcher: Watcher, rng: Rng
) -> None:
    """Try every host and port, a bounded number of them at once."""
    doors = [_Door(host=host, port=port) for port in ports for host in hosts]
    slots = asyncio.Semaphore(_AT_ONCE_MAX)
    done = 0

    async def visit(door: _Door) -> None:
        nonlocal done
        async with slots:
            async for found in _behind(door, scope, rng):
                watcher.found(found)
        done += 1
        watcher.progress(done, len(doors), door.authority)

    async with asyncio.TaskGroup() as visits:
        for door in doors:
            visits.create_task(visit(door))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """One port of one host."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """Both, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


async def _behind(door: _Door, scope: Scope, rng: Rng) -> AsyncIterator[Found]:
    """Give the meters behind a door: by the protocol that is usual there, else by another."""
    try:
        async with _opened(door):
            pass
    except TransportError:
        return
    searches = [_modbus_tcp, _wrapper, _hdlc, _modbus_rtu]
    if door.port != _MODBUS_PORT:
        searches = [_wrapper, _hdlc, _modbus_tcp, _modbus_rtu]
    for search in searches:
        is_there = False
        async for found in search(door, scope, rng):
            is_there = True
            yield found
        if is_there:
            return


async def _wrapper(door: _Door, scope: Scope, rng: Rng) -> AsyncIterator[Found]:
    if Family.HDLC in scope.families:
        line = dlms_line(f"tcp://{door.authority}", 0, 1)
        answer = await _asked_dlms(door, line, rng, _ANSWER_S)
        if answer is not None:
            yield Found(
                kind=answer.kind,
                url=line.url,
                fields=dlms_fields(0, 1),
                identity=answer.identity,
                remark=answer.remark,
            )


async def _hdlc(door: _Door, scope: Scope, rng: Rng) -> AsyncIterator[Found]:
    """Give the HDLC meters behind a serial server: all addresses, once a likely one answered."""
    if Family.HDLC not in scope.families:
        return
    likely, others = likely_addresses(Family.HDLC, scope)
    is_there = False
    for address, octets in (*likely, *others):
        if likely and not is_there and (address, octets) in others:
            return
        line = dlms_line(f"hdlc+tcp://{door.authority}", address, octets)
        answer = await _asked_dlms(door, line, rng, _SERIAL_ANSWER_S)
        if answer is not None:
            is_there = True
            yield Found(
                kind=answer.kind,
                url=line.url,
                fields=dlms_fields(address, octets),
                identity=answer.identity,
                remark=answer.remark,
            )


async def _asked_dlms(door: _Door, line: DlmsLine, rng: Rng, within_s: float) -> Answer | None:
    try:
        async with _opened(door) as transport:
            return await ask_dlms(transport, line, rng, within_s)
    except TransportError:
        return None


async def _modbus_tcp(door: _Door, scope: Scope, _rng: Rng) -> AsyncIterator[Found]:
    async for device_id in _modbus_ids(door, scope, rtu=False):
        yield await recognise(ModbusLine(url=f"modbus+tcp://{door.authority}", device_id=device_id))


async def _modbus_rtu(door: _Door, scope: Scope, _rng: Rng) -> AsyncIterator[Found]:
    async for device_id in _modbus_ids(door, scope, rtu=True):
        url = f"modbus+rtu+tcp://{door.authority}"
        yield await recognise(ModbusLine(url=url, device_id=device_id))


async def _modbus_ids(door: _Door, scope: Scope, *, rtu: bool) -> AsyncIterator[int]:
    """Give the devices that answer: of all, once a likely one did.

    Over TCP many a meter answers to any number: then it is named by the first.
    """
    if Family.MODBUS not in scope.families:
        return
    likely, others = (
        [number for number, _ in each] for each in likely_addresses(Family.MODBUS, scope)
    )
    there = [one for one in likely if await _is_modbus(door, one, rtu=rtu)]
    if not rtu and len(there) == len(likely) > 1:
        yield there[0]
        return
    for device_id in there:
        yield device_id
    for device_id in others if there or not likely else ():
        if await _is_modbus(door, device_id, rtu=rtu):
            yield device_id


async def _is_modbus(door: _Door, device_id: int, *, rtu: bool) -> bool:
    try:
        async with _opened(door) as transport:
            within_s = _SERIAL_ANSWER_S if rtu else _ANSWER_S
            return await ask_modbus(transport, device_id, within_s, rtu=rtu) is not None
    except TransportError:
        return False


@asynccontextmanager
async def _opened(door: _Door) -> AsyncIterator[Transport]:
    try:
        async with asyncio.timeout(_CONNECT_S):
            transport = await open_transport(f"tcp://{door.authority}")
    except TimeoutError:
        raise TransportError(f"{door.authority}: no answer") from None
    try:
        yield transport
    finally:
        await transport.aclose()
