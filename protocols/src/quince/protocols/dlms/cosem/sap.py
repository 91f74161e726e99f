"""SAP assignment (class 17): which logical devices a meter has, and under which address.

Attribute 2, SAP_assignment_list; method 1, connect_logical_device.
"""

from collections.abc import Mapping

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import SAP_ASSIGNMENT, ClassId
from quince.protocols.dlms.encoding.axdr import Data, array, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

SAP_LIST = Ref(ClassId.SAP_ASSIGNMENT, SAP_ASSIGNMENT, 2)
# A meter with its gas, water and heat meters has a handful.
DEVICES_MAX = 64


def read_sap_list(data: Data) -> dict[int, bytes]:
    """Read the logical devices' names by their addresses."""
    items = data.as_items()
    if len(items) > DEVICES_MAX:
        raise CodecError(f"{len(items)} logical devices")
    pairs = (item.as_items(2) for item in items)
    return {address.as_int(): name.as_octets() for address, name in pairs}


def encode_sap_list(devices: Mapping[int, bytes]) -> Data:
    """Write the logical devices."""
    return array(
        structure(Data(Tag.UINT16, address), octet_string(name))
        for address, name in devices.items()
    )
