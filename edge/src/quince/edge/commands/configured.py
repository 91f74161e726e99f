"""Puts the commands of a gateway together, as its configuration says."""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from quince.edge.commands.configuration import Configuration
from quince.edge.commands.firmware import FirmwareDoor
from quince.edge.commands.meter_work import Meters, MeterWork
from quince.edge.commands.own_key import OwnKey
from quince.edge.commands.service import Commands
from quince.edge.config import GatewayConfig
from quince.edge.outbox.store import Outbox
from quince.model.clock import Clock
from quince.protocols.gateway.topics import GatewayAddress


def commands_of(  # noqa: PLR0913 - the two ends of a command, and what performs it
    config: GatewayConfig,
    *,
    outbox: Outbox,
    meters: Meters,
    serve: Callable[[GatewayConfig], None],
    diagnose: Callable[[], bytes],
    stir: Callable[[], None],
    clock: Clock,
) -> Commands:
    """Return the commands of a gateway; without signers it obeys nobody."""
    signers = {} if config.commands is None else config.commands.signers
    own_key = OwnKey(None if config.broker.tls is None else config.broker.tls.key_file)
    door = FirmwareDoor(config.headend, config.outbox.parent)
    return Commands(
        address=GatewayAddress(cell=config.cell, gateway=config.gateway),
        signers={
            name: Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
            for name, key in signers.items()
        },
        outbox=outbox,
        meter_work=MeterWork(meters, door, own_key, clock),
        configuration=Configuration(config, own_key, serve=serve),
        diagnose=diagnose,
        stir=stir,
        clock=clock,
    )
