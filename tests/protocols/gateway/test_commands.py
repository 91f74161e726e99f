from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.meter_key import MeterKey
from quince.protocols.gateway import command_pb2 as wire
from quince.protocols.gateway.commands import (
    COMMAND_BYTES_MAX,
    ActivateFirmware,
    ArmSupply,
    ChangeKey,
    Command,
    Configure,
    ConfirmSupply,
    Diagnose,
    ReadClock,
    ReadNow,
    ReadProfile,
    SetClock,
    TransferFirmware,
    configuration_purpose,
    decode_command,
    encode_command,
    key_purpose,
    operation_name,
)
from quince.protocols.gateway.errors import SealError, SignatureError
from quince.protocols.gateway.sealing import seal, unseal
from quince.protocols.gateway.signing import sign_command, verify_command
from quince.protocols.gateway.topics import GatewayAddress

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
READ = Command(
    command_id=bytes(range(16)),
    address=GatewayAddress(cell="sv-1", gateway="gw-1"),
    meter_id="QN-1",
    issued_utc=NOON,
    not_after_utc=NOON + timedelta(minutes=5),
    operation=ReadNow(),
)
FIRMWARE = TransferFirmware(identifier="QNC-2", url="https://h/f", sha256=bytes(32), size=1)
METER_OPERATIONS = [
    ReadNow(),
    ReadProfile(start_utc=NOON, end_utc=NOON + timedelta(hours=1)),
    ReadClock(),
    SetClock(step_s_max=60),
    ArmSupply(on=False),
    ConfirmSupply(armed_by=bytes(16)),
    FIRMWARE,
    ActivateFirmware(identifier="QNC-2"),
    ChangeKey(key=MeterKey.MASTER, sealed=b"sealed"),
]
GATEWAY_OPERATIONS = [Configure(revision=7, sealed=b"sealed"), Diagnose()]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SIGNERS = {"ops": KEY.public_key()}


@pytest.mark.parametrize("operation", METER_OPERATIONS, ids=operation_name)
def test_what_a_meter_is_asked_arrives_as_it_was_said(operation):
    command = replace(READ, operation=operation)
    assert decode_command(encode_command(command)) == command


@pytest.mark.parametrize("operation", GATEWAY_OPERATIONS, ids=operation_name)
def test_what_a_gateway_is_asked_arrives_as_it_was_said(operation):
    command = replace(READ, meter_id="", operation=operation)
    assert decode_command(encode_command(command)) == command


def test_a_gateways_own_business_names_no_meter():
    with pytest.raises(InvalidValueError, match="Diagnose"):
        replace(READ, operation=Diagnose())


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: replace(READ, not_after_utc=NOON), "not_after_utc"),
        (lambda: replace(READ, command_id=b"short"), "command_id"),
        (lambda: replace(READ, meter_id="M\n1"), "meter_id"),
        (lambda: SetClock(step_s_max=3601), "step_s_max"),
        (lambda: ReadProfile(start_utc=NOON, end_utc=NOON), "end_utc"),
        (lambda: ConfirmSupply(armed_by=b""), "armed_by"),
        (lambda: Configure(revision=0, sealed=b""), "revision"),
        (lambda: replace(FIRMWARE, size=1 << 25), "size"),
        (lambda: replace(FIRMWARE, sha256=b"x"), "sha256"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field(build, field):
    with pytest.raises(InvalidValueError, match=field):
        build()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff\xff",
        bytes(COMMAND_BYTES_MAX + 1),
        wire.Command(id=bytes(16), cell="c", gateway="g", meter="m").SerializeToString(),
        wire.Command(id=bytes(16), cell="#", read_now=wire.Nothing()).SerializeToString(),
    ],
)
def test_what_is_no_command_is_a_codec_error(octets):
    with pytest.raises(CodecError):
        decode_command(octets)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_nonsense_is_a_codec_error_or_a_command(octets):
    try:
        decode_command(octets)
    except CodecError:
        return


def test_a_signed_command_is_believed():
    assert verify_command(sign_command(READ, signer="ops", key=KEY), SIGNERS) == READ


def test_nobody_else_may_sign():
    stranger = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
    with pytest.raises(SignatureError, match="not signed by 'ops'"):
        verify_command(sign_command(READ, signer="ops", key=stranger), SIGNERS)
    with pytest.raises(SignatureError, match="'who' is not known"):
        verify_command(sign_command(READ, signer="who", key=KEY), SIGNERS)


@pytest.mark.parametrize("place", [5, 30, 60, -1])
def test_a_changed_octet_is_no_command_of_ours(place):
    message = bytearray(sign_command(READ, signer="ops", key=KEY))
    message[place] ^= 1
    with pytest.raises((SignatureError, CodecError)):
        verify_command(bytes(message), SIGNERS)


@pytest.mark.parametrize("message", [b"\xff", bytes(COMMAND_BYTES_MAX + 300)])
def test_what_is_no_signed_command_is_a_codec_error(message):
    with pytest.raises(CodecError):
        verify_command(message, SIGNERS)


def test_what_is_sealed_for_one_gateway_opens_there_and_for_its_purpose_alone():
    own, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    purpose = key_purpose("QN-1", MeterKey.ENCRYPTION)
    sealed = seal(b"sixteen octets..", own.public_key(), purpose=purpose)
    assert unseal(sealed, own, purpose=purpose) == b"sixteen octets.."
    with pytest.raises(SealError):
        unseal(sealed, other, purpose=purpose)
    with pytest.raises(SealError):
        unseal(sealed, own, purpose=configuration_purpose(1))


@pytest.mark.parametrize("octets", [b"", bytes(65), b"\x04" + bytes(64), bytes(200)])
def test_what_was_never_sealed_is_refused(octets):
    with pytest.raises(SealError):
        unseal(octets, ec.generate_private_key(ec.SECP256R1()), purpose=b"")
