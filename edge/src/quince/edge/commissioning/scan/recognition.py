"""Who a Modbus meter is: by SunSpec, by its device identification, by the codes of the profiles."""

from quince.edge.commissioning.scan.found import Found
from quince.edge.errors import TransportError
from quince.edge.profiles.catalogue import load_profile, profile_names
from quince.edge.readers.modbus.line import ModbusLine, open_port
from quince.edge.readers.modbus.port import ModbusPort
from quince.edge.readers.modbus.reader import common_identity, named_identity, walk_models
from quince.edge.readers.reader import Identity
from quince.model.errors import CodecError, QuinceError, RemoteProtocolError
from quince.protocols.modbus.points import Table
from quince.protocols.modbus.profiles import ModbusProfile

# A meter that was just asked wants to rest before the next question; the slowest known ones do.
_GAP_S = 0.1


async def recognise(line: ModbusLine) -> Found:
    """Return the meter on `line`, with what it says of itself."""
    fields: dict[str, int | str] = {"device_id": line.device_id}
    try:
        async with open_port(line, _GAP_S) as port:
            identity, profiles = await _recognised(port)
    except QuinceError as error:
        return Found(kind="modbus", url=line.url, fields=fields, remark=str(error))
    if len(profiles) == 1:
        fields |= {"profile": profiles[0]}
    return Found(kind="modbus", url=line.url, fields=fields, identity=identity, profiles=profiles)


async def _recognised(port: ModbusPort) -> tuple[Identity, tuple[str, ...]]:
    shipped = {name: load_profile(name) for name in profile_names()}
    try:
        walk = await walk_models(port)
        identity = await common_identity(port, walk)
    except (CodecError, RemoteProtocolError, TransportError):
        return await named_identity(port), await _by_code(port, shipped)
    models = {model.number for model in walk.models}
    return identity, tuple(name for name, one in shipped.items() if one.sunspec_model in models)


async def _by_code(port: ModbusPort, shipped: dict[str, ModbusProfile]) -> tuple[str, ...]:
    """Return the profiles whose code the meter bears; each register is read once."""
    matches = {name: one.match for name, one in shipped.items() if one.match is not None}
    codes: dict[tuple[Table, int], int] = {}
    for table, address in sorted({(match.table, match.address) for match in matches.values()}):
        try:
            (codes[table, address],) = await port.read(table, address, 1)
        except (RemoteProtocolError, TransportError):  # another kind of meter
            continue
    return tuple(
        name
        for name, match in matches.items()
        if codes.get((match.table, match.address)) in match.values
    )
