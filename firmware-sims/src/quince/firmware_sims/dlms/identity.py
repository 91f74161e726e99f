"""Who a simulated meter is: its names, its firmware, its logical device, where it pushes to."""

from collections.abc import Callable
from functools import partial

from quince.firmware_sims.dlms.objects import MeterObject
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.cosem.names import (
    CURRENT_RATIO,
    DEVICE_ID,
    FIRMWARE_ID,
    LOGICAL_DEVICE_NAME,
    PROFILE_STATUS,
    PUSH_SETUP,
    SAP_ASSIGNMENT,
    SERIAL_NUMBER,
    ClassId,
)
from quince.protocols.dlms.cosem.profile import Column
from quince.protocols.dlms.cosem.push_setup import (
    Destination,
    TransportService,
    encode_push_objects,
)
from quince.protocols.dlms.cosem.sap import encode_sap_list
from quince.protocols.dlms.encoding.axdr import Data, Value, octet_string
from quince.protocols.dlms.encoding.tags import Tag

MAKER = b"QNC"
_MANAGEMENT_SAP = 1


def data_object(ref: Ref, read: Callable[[], Value], *, is_public: bool = False) -> MeterObject:
    """Return a Data object (class 1) with this value."""
    return MeterObject(
        class_id=ref.class_id, name=ref.obis, reads={ref.index: read}, is_public=is_public
    )


def identity_objects(device_id: bytes, firmware: Callable[[], bytes]) -> list[MeterObject]:
    """Return the names a meter goes by, its SAP assignment and its push setup."""
    return [
        data_object(LOGICAL_DEVICE_NAME, lambda: octet_string(MAKER + device_id), is_public=True),
        data_object(SERIAL_NUMBER, lambda: octet_string(device_id), is_public=True),
        data_object(DEVICE_ID, lambda: octet_string(device_id), is_public=True),
        data_object(FIRMWARE_ID, lambda: octet_string(firmware())),
        data_object(PROFILE_STATUS, lambda: Data(Tag.UINT8, 0)),
        MeterObject(
            class_id=ClassId.SAP_ASSIGNMENT,
            name=SAP_ASSIGNMENT,
            reads={2: lambda: encode_sap_list({_MANAGEMENT_SAP: MAKER + device_id})},
            is_public=True,
        ),
        PushSetup().described(),
    ]


def ratio_objects(ratio: tuple[int, int] | None) -> list[MeterObject]:
    """Return what a meter behind current transformers tells of them."""
    return [
        data_object(ref, partial(Data, Tag.UINT32, number))
        for ref, number in zip(CURRENT_RATIO, ratio or (), strict=False)
    ]


class PushSetup:
    """Keeps where to push to as it was told; what is pushed there is the scenario's to decide."""

    def __init__(self) -> None:
        self._destination = Destination(service=TransportService.TCP, address=b"")

    def described(self) -> MeterObject:
        """Return the push setup object."""
        pushed = (Column(ref=DEVICE_ID),)
        return MeterObject(
            class_id=ClassId.PUSH_SETUP,
            name=PUSH_SETUP,
            reads={2: lambda: encode_push_objects(pushed), 3: self._tell},
            writes={3: self._send_to},
        )

    def _tell(self) -> Data:
        return self._destination.encode()

    def _send_to(self, data: Data) -> AccessResult:
        self._destination = Destination.read(data)
        return AccessResult.SUCCESS
