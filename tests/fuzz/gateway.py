"""What reads messages between gateways and the head-end."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quince.model.errors import InvalidValueError
from quince.model.interval import IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.model.quality import Quality
from quince.protocols.gateway import commands, messages
from quince.protocols.gateway.errors import SealError, SignatureError
from quince.protocols.gateway.sealing import seal, unseal
from quince.protocols.gateway.signing import sign_command, verify_command
from quince.protocols.gateway.topics import GatewayAddress, Lane, parse_up


def _topic(octets: bytes) -> None:
    with suppress(InvalidValueError):  # a topic is a name: it is refused as a value
        parse_up(octets.decode("utf-8", "surrogateescape"))


def _signed(octets: bytes) -> None:
    with suppress(SignatureError):
        verify_command(octets, {"ops": _SIGNER.public_key()})


def _sealed(octets: bytes) -> None:
    with suppress(SealError):
        unseal(octets, _GATEWAY, purpose=b"any")


_SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
_GATEWAY = ec.derive_private_key(1, ec.SECP256R1())
_NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
_COMMAND = commands.Command(
    command_id=bytes(16),
    address=GatewayAddress(cell="north", gateway="gw-1"),
    meter_id="m-1",
    issued_utc=_NOON,
    not_after_utc=_NOON + timedelta(minutes=5),
    operation=commands.ReadProfile(start_utc=_NOON - timedelta(days=1), end_utc=_NOON),
)

HARNESSES = {
    "gateway-uplink": messages.decode_uplink,
    "gateway-envelope": messages.decode_envelope,
    "gateway-ack": messages.decode_ack,
    "gateway-topic": _topic,
    "gateway-command": commands.decode_command,
    "gateway-signed": _signed,
    "gateway-sealed": _sealed,
}
SEEDS = [
    messages.encode_uplink(
        messages.Envelope(
            epoch=1, lane=Lane.LIVE, seq=7, oldest_seq=3, sent_utc=datetime(2026, 5, 1, tzinfo=UTC)
        ),
        messages.encode_content(
            messages.Content(
                series=(
                    IntervalSeries(
                        meter_id="m-1",
                        obis=ACTIVE_IMPORT_INTERVAL,
                        start_utc=datetime(2026, 5, 1, tzinfo=UTC),
                        values=(100, None, 102),
                        quality=(Quality.GOOD, Quality.MISSING, Quality.POWER_FAIL),
                    ),
                ),
            )
        ),
    ),
    messages.encode_ack(messages.Watermark(epoch=1, lane=Lane.EVENTS, upto=7)),
    b"quince/v1/north/gw-1/up/iv",
    commands.encode_command(_COMMAND),
    sign_command(_COMMAND, signer="ops", key=_SIGNER),
    seal(b"secret", _GATEWAY.public_key(), purpose=b"any"),
]
