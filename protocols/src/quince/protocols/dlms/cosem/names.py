"""What a meter's objects are called: their classes, and the names this system asks for.

Class numbers, attribute numbers and names are those of the Blue Book (IEC 62056-6-1 and -6-2),
from memory; the object models of DSMR 2.2 to SMR 5.5 that Grid eXchange Fabric publishes agree
with all that they share with this table.
"""

from enum import IntEnum
from typing import TypeVar

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.encoding.axdr import Data


class ClassId(IntEnum):
    """The interface classes that are spoken here."""

    DATA = 1
    REGISTER = 3
    EXTENDED_REGISTER = 4
    DEMAND_REGISTER = 5
    PROFILE = 7
    CLOCK = 8
    ASSOCIATION = 15
    SAP_ASSIGNMENT = 17
    IMAGE_TRANSFER = 18
    PUSH_SETUP = 40
    SECURITY_SETUP = 64
    DISCONNECT_CONTROL = 70
    LIMITER = 71


CLOCK = Obis(0, 0, 1, 0, 0)
ASSOCIATION = Obis(0, 0, 40, 0, 0)
SAP_ASSIGNMENT = Obis(0, 0, 41, 0, 0)
SECURITY_SETUP = Obis(0, 0, 43, 0, 0)
IMAGE_TRANSFER = Obis(0, 0, 44, 0, 0)
DISCONNECT_CONTROL = Obis(0, 0, 96, 3, 10)
LIMITER = Obis(0, 0, 17, 0, 0)
PUSH_SETUP = Obis(0, 0, 25, 9, 0)
LOAD_PROFILE = Obis(1, 0, 99, 1, 0)
EVENT_LOG = Obis(0, 0, 99, 98, 0)

LOGICAL_DEVICE_NAME = Ref(ClassId.DATA, Obis(0, 0, 42, 0, 0), 2)
SERIAL_NUMBER = Ref(ClassId.DATA, Obis(0, 0, 96, 1, 0), 2)
DEVICE_ID = Ref(ClassId.DATA, Obis(0, 0, 96, 1, 1), 2)
FIRMWARE_ID = Ref(ClassId.DATA, Obis(1, 0, 0, 2, 0), 2)
FIRMWARE_ID_ABSTRACT = Ref(ClassId.DATA, Obis(0, 0, 0, 2, 0), 2)
# What current and voltage transformers divide by: above the fraction's line, and below it.
CURRENT_RATIO = tuple(Ref(ClassId.DATA, Obis(1, 0, 0, 4, e), 2) for e in (2, 5))
VOLTAGE_RATIO = tuple(Ref(ClassId.DATA, Obis(1, 0, 0, 4, e), 2) for e in (3, 6))
PROFILE_STATUS = Ref(ClassId.DATA, Obis(0, 0, 96, 10, 1), 2)
EVENT_CODE = Ref(ClassId.DATA, Obis(0, 0, 96, 11, 0), 2)
ACTIVE_IMPORT = Ref(ClassId.REGISTER, ACTIVE_IMPORT_REGISTER, 2)
# What MX382 meters push, with their device id: when the supply goes, and when it is back.
LAST_GASP = Ref(ClassId.DATA, Obis(128, 128, 128, 128, 128, 0), 2)
POWER_UP = DEVICE_ID

_NAME_OCTETS = 6

_Enum = TypeVar("_Enum", bound=IntEnum)


def read_name(data: Data) -> Obis:
    """Read a logical name; CodecError if it has not its six octets."""
    octets = data.as_octets()
    if len(octets) != _NAME_OCTETS:
        raise CodecError(f"a logical name of {len(octets)} octets")
    return Obis.from_bytes(octets)


def read_ref(class_id: Data, name: Data, index: Data) -> Ref:
    """Read a reference out of three values; CodecError if one is out of range."""
    try:
        return Ref(class_id.as_int(), read_name(name), index.as_int())
    except InvalidValueError as error:
        raise CodecError(str(error)) from error


def read_enum(kind: type[_Enum], data: Data) -> _Enum:
    """Read one of `kind`; CodecError for a number that is none of it."""
    try:
        return kind(data.as_int())
    except ValueError as error:
        raise CodecError(str(error)) from error
