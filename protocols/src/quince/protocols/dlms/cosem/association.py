"""The association (class 15): the list of all objects that a client may see, and what it may do.

Attributes: 2 object_list, 3 associated_partners_id, 4 application_context_name, 5 what services
there are, 6 authentication_mechanism_name, 7 secret, 8 association_status, 9 the security setup.
Method 1, reply_to_HLS_authentication, belongs to the opening of an association.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quince.model.errors import CodecError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import ASSOCIATION, ClassId, read_name
from quince.protocols.dlms.encoding.axdr import NULL, Data, array, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

OBJECT_LIST = Ref(ClassId.ASSOCIATION, ASSOCIATION, 2)
# Meters have two or three hundred objects; ten times that is nonsense.
OBJECTS_MAX = 4096
_READABLE, _WRITABLE = 1, 2
_ACCESS_MODES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 1, 5: 2, 6: 3}  # 4, 5, 6: the same, authenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDescription:
    """An object: its class and name, which attributes can be read and written, its methods."""

    class_id: int
    version: int
    obis: Obis
    readable: frozenset[int] = frozenset()
    writable: frozenset[int] = frozenset()
    methods: frozenset[int] = frozenset()

    @property
    def tells_rights(self) -> bool:
        """Whether the meter said anything of rights: some leave both lists empty."""
        return bool(self.readable or self.writable or self.methods)

    def may_read(self, index: int) -> bool:
        """Say whether an attribute can be read, as far as the meter says."""
        return index in self.readable or not self.tells_rights

    def encode(self) -> Data:
        """Write the object_list_element."""
        attributes = (
            structure(Data(Tag.INT8, index), Data(Tag.ENUM, self._mode(index)), NULL)
            for index in sorted(self.readable | self.writable)
        )
        methods = (
            structure(Data(Tag.INT8, index), Data(Tag.ENUM, 1)) for index in sorted(self.methods)
        )
        return structure(
            Data(Tag.UINT16, self.class_id),
            Data(Tag.UINT8, self.version),
            octet_string(bytes(self.obis)),
            structure(array(attributes), array(methods)),
        )

    def _mode(self, index: int) -> int:
        readable = _READABLE if index in self.readable else 0
        return readable | (_WRITABLE if index in self.writable else 0)


def read_object_list(data: Data) -> tuple[ObjectDescription, ...]:
    """Read attribute 2; CodecError for more than OBJECTS_MAX objects."""
    items = data.as_items()
    if len(items) > OBJECTS_MAX:
        raise CodecError(f"{len(items)} objects in one meter")
    return tuple(_read_description(*item.as_items(4)) for item in items)


def _read_description(class_id: Data, version: Data, name: Data, rights: Data) -> ObjectDescription:
    attributes, methods = rights.as_items(2)
    modes = _read_modes(attributes, width=3)
    return ObjectDescription(
        class_id=class_id.as_int(),
        version=version.as_int(),
        obis=read_name(name),
        readable=frozenset(index for index, mode in modes if mode & _READABLE),
        writable=frozenset(index for index, mode in modes if mode & _WRITABLE),
        methods=frozenset(index for index, mode in _read_modes(methods, width=2) if mode),
    )


def _read_modes(items: Data, *, width: int) -> list[tuple[int, int]]:
    """Read what may be done with each index: 1 read, 2 write; for a method anything but 0."""
    found: list[tuple[int, int]] = []
    for item in items.as_items():
        index, mode = item.as_items(width)[:2]
        code = int(mode.value) if isinstance(mode.value, bool) else mode.as_int()
        # Later versions of the class write bits, of which the lowest two mean the same.
        found.append((index.as_int(), _ACCESS_MODES.get(code, code & 3)))
    return found


def encode_object_list(objects: Sequence[ObjectDescription]) -> Data:
    """Write attribute 2."""
    return array(each.encode() for each in objects)
