"""What a simulated meter refuses: firmware that is none, keys that do not unwrap, less security."""

from datetime import timedelta
from typing import Any

import pytest

from quince.firmware_sims.dlms.image import seal_firmware
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.load import Household, Supply
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.cosem import image as images, security_setup
from quince.protocols.dlms.cosem.disconnect import NOTHING
from quince.protocols.dlms.cosem.image import Image, TransferStatus
from quince.protocols.dlms.cosem.security_setup import KeyId
from quince.protocols.dlms.encoding.axdr import Data, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Authentication, Gmac, NoSecurity
from quince.protocols.dlms.security.sealing import wrap_key
from quince.protocols.dlms.security.suite import Keys

MASTER = bytes(range(32, 48))
FIRMWARE = Image(identifier=b"QNC-2", octets=seal_firmware(bytes(range(250))), block_octets=128)


def _meter(clock: Any, *accepts: Authentication) -> DlmsMeter:
    return DlmsMeter(
        device_id="Q-1",
        household=Household(seed=7),
        supply=Supply(),
        clock=clock,
        accepts=accepts or (NoSecurity(),),
        build=Build(verify_s=5),
    )


def _read(meter: DlmsMeter, ref: Ref) -> Data:
    data = meter.get(ref, None)
    assert isinstance(data, Data)
    return data


def _status(meter: DlmsMeter) -> TransferStatus:
    return images.read_status(_read(meter, images.STATUS))


# -- firmware ----------------------------------------------------------------------------------


@pytest.fixture
def begun(clock: Any) -> DlmsMeter:
    meter = _meter(clock)
    assert meter.set(*images.ENABLE) is AccessResult.SUCCESS
    assert meter.action(*FIRMWARE.initiate())[0] is AccessResult.SUCCESS
    return meter


def test_no_transfer_begins_before_it_is_enabled(clock: Any) -> None:
    assert _meter(clock).action(*FIRMWARE.initiate())[0] is AccessResult.READ_WRITE_DENIED


@pytest.mark.parametrize(
    ("identifier", "octets", "result"),
    [
        (b"", 254, AccessResult.TYPE_UNMATCHED),
        (b"QNC-2", 4, AccessResult.OTHER_REASON),
        (b"QNC-2", 2**25, AccessResult.OTHER_REASON),
    ],
)
def test_an_image_that_cannot_be_does_not_begin(
    begun: DlmsMeter, identifier: bytes, octets: int, result: AccessResult
) -> None:
    argument = structure(octet_string(identifier), Data(Tag.UINT32, octets))
    assert begun.action(images.INITIATE, argument)[0] is result


def test_blocks_are_taken_within_a_transfer_alone(clock: Any) -> None:
    assert _meter(clock).action(*FIRMWARE.block(0))[0] is AccessResult.OTHER_REASON


@pytest.mark.parametrize(("number", "octets"), [(0, 127), (1, 128), (2, 1), (2**32 - 1, 0)])
def test_a_block_of_another_length_or_number_is_refused(
    begun: DlmsMeter, number: int, octets: int
) -> None:
    block = structure(Data(Tag.UINT32, number), octet_string(bytes(octets)))
    assert begun.action(images.BLOCK_TRANSFER, block)[0] is AccessResult.TYPE_UNMATCHED


def test_the_first_missing_block_is_told(begun: DlmsMeter) -> None:
    assert _read(begun, images.FIRST_MISSING).as_int() == 0
    begun.action(*FIRMWARE.block(0))
    assert _read(begun, images.FIRST_MISSING).as_int() == 1
    begun.action(*FIRMWARE.block(1))
    assert _read(begun, images.FIRST_MISSING).as_int() == 2


def test_a_verification_takes_its_time(clock: Any, begun: DlmsMeter) -> None:
    begun.action(*FIRMWARE.block(0))
    begun.action(*FIRMWARE.block(1))
    assert begun.action(*images.VERIFY_NOW)[0] is AccessResult.TEMPORARY_FAILURE
    assert _status(begun) is TransferStatus.VERIFICATION_INITIATED
    assert begun.action(*images.ACTIVATE_NOW)[0] is AccessResult.OTHER_REASON
    clock.at_utc += timedelta(seconds=5)
    assert _status(begun) is TransferStatus.VERIFICATION_SUCCESSFUL
    assert begun.action(*images.VERIFY_NOW)[0] is AccessResult.SUCCESS


def test_an_image_with_a_block_missing_does_not_verify(clock: Any, begun: DlmsMeter) -> None:
    begun.action(*FIRMWARE.block(1))
    begun.action(*images.VERIFY_NOW)
    clock.at_utc += timedelta(seconds=5)
    assert begun.action(*images.VERIFY_NOW)[0] is AccessResult.OTHER_REASON
    assert _status(begun) is TransferStatus.VERIFICATION_FAILED


def test_a_meter_that_starts_new_firmware_is_away_for_a_while(clock: Any, begun: DlmsMeter) -> None:
    begun.action(*FIRMWARE.block(0))
    begun.action(*FIRMWARE.block(1))
    begun.action(*images.VERIFY_NOW)
    clock.at_utc += timedelta(seconds=5)
    assert begun.action(*images.ACTIVATE_NOW)[0] is AccessResult.SUCCESS
    answers = [begun.is_on]
    clock.at_utc += timedelta(seconds=5)
    assert [*answers, begun.is_on] == [False, True]
    assert _status(begun) is TransferStatus.ACTIVATION_SUCCESSFUL


# -- security ----------------------------------------------------------------------------------


def _gmac(master: bytes | None = MASTER) -> Gmac:
    keys = Keys(encryption=bytes(16), authentication=bytes(range(16)), master=master)
    return Gmac(system_title=b"QNM\0\0\0\0\1", keys=keys, counters=MemoryCounters())


def _transfer(key_id: KeyId, key: bytes, master: bytes = MASTER) -> tuple[Ref, Data]:
    return security_setup.key_transfer(key_id, wrap_key(master, key))


def _keys(meter: DlmsMeter) -> Keys:
    (gmac,) = (one for one in meter.accepts if isinstance(one, Gmac))
    return gmac.keys


@pytest.mark.parametrize("key_id", list(KeyId))
def test_the_named_key_is_replaced_and_no_other(clock: Any, key_id: KeyId) -> None:
    meter = _meter(clock, NoSecurity(), _gmac())
    before = _keys(meter)
    assert meter.action(*_transfer(key_id, b"\xaa" * 16))[0] is AccessResult.SUCCESS
    after, name = _keys(meter), key_id.name.lower()
    assert getattr(after, name) == b"\xaa" * 16
    others = {"encryption", "broadcast", "authentication", "master"} - {name}
    assert [getattr(after, other) for other in others] == [
        getattr(before, other) for other in others
    ]


def test_a_new_encryption_key_is_counted_with_anew(clock: Any) -> None:
    own = _gmac()
    meter = _meter(clock, own)
    meter.action(*_transfer(KeyId.AUTHENTICATION, b"\xaa" * 16))
    (kept,) = meter.accepts
    assert isinstance(kept, Gmac)
    assert kept.counters is own.counters
    meter.action(*_transfer(KeyId.ENCRYPTION, b"\xbb" * 16))
    (anew,) = meter.accepts
    assert isinstance(anew, Gmac)
    assert anew.counters is not own.counters


@pytest.mark.parametrize(("key", "master"), [(b"\xaa" * 16, bytes(16)), (b"\xaa" * 32, MASTER)])
def test_a_key_of_strangers_or_of_another_suite_is_refused(
    clock: Any, key: bytes, master: bytes
) -> None:
    meter = _meter(clock, _gmac())
    before = _keys(meter)
    result, _ = meter.action(*_transfer(KeyId.ENCRYPTION, key, master))
    assert result is AccessResult.OTHER_REASON
    assert _keys(meter) == before


def test_a_meter_without_a_master_key_takes_none(clock: Any) -> None:
    meter = _meter(clock, _gmac(master=None))
    result, _ = meter.action(*_transfer(KeyId.ENCRYPTION, bytes(16)))
    assert result is AccessResult.READ_WRITE_DENIED


def test_a_meter_that_ciphers_nothing_has_no_security_setup(clock: Any) -> None:
    assert _meter(clock).get(security_setup.POLICY, None) is AccessResult.OBJECT_UNDEFINED


def test_a_policy_is_made_stricter_and_never_laxer(clock: Any) -> None:
    meter = _meter(clock, _gmac())
    activate = security_setup.ACTIVATE
    assert meter.action(activate, Data(Tag.ENUM, 0x0C))[0] is AccessResult.SUCCESS
    assert _read(meter, security_setup.POLICY).as_int() == 0x0C
    assert meter.action(activate, Data(Tag.ENUM, 0x04))[0] is AccessResult.READ_WRITE_DENIED
    assert meter.action(activate, NOTHING)[0] is AccessResult.READ_WRITE_DENIED
    assert _read(meter, security_setup.SUITE).as_int() == 0
    assert _read(meter, security_setup.SERVER_TITLE).as_octets() == b"QNM\0\0\0\0\1"
