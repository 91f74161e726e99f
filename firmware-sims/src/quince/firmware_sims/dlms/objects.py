"""What every object of a simulated meter is: a name, and what its attributes and methods do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Access, AccessResult
from quince.protocols.dlms.cosem.association import ObjectDescription
from quince.protocols.dlms.encoding.axdr import Data, Value, octet_string

_LOGICAL_NAME = 1

Read = Callable[[], Value]
# What is wrong with the value is raised: CodecError or InvalidValueError.
Write = Callable[[Data], AccessResult]
Method = Callable[[Data], AccessResult]
Select = Callable[[Access], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterObject:
    """One object. Attributes and methods are by number; what is not here is denied.

    Attribute 1, the name, is always there. `select` answers for the buffer of a profile.
    `is_public` objects can be read by a client that proves nothing.
    """

    class_id: int
    name: Obis
    version: int = 0
    reads: Mapping[int, Read] = field(default_factory=dict)
    writes: Mapping[int, Write] = field(default_factory=dict)
    methods: Mapping[int, Method] = field(default_factory=dict)
    select: Select | None = None
    is_public: bool = False

    def get(self, index: int, access: Access | None) -> Value | AccessResult:
        """Return an attribute; only a profile's buffer can be selected from."""
        if index == _LOGICAL_NAME and access is None:
            return octet_string(bytes(self.name))
        if access is not None:
            return self._selected(index, access)
        read = self.reads.get(index)
        return AccessResult.READ_WRITE_DENIED if read is None else read()

    def _selected(self, index: int, access: Access) -> Value | AccessResult:
        if self.select is None or index != 2:  # noqa: PLR2004 - the buffer
            return AccessResult.SCOPE_OF_ACCESS_VIOLATED
        try:
            return self.select(access)
        except CodecError:
            return AccessResult.TYPE_UNMATCHED

    def set(self, index: int, data: Data) -> AccessResult:
        """Write an attribute."""
        return _try(self.writes.get(index), data)

    def call(self, index: int, data: Data) -> AccessResult:
        """Call a method."""
        return _try(self.methods.get(index), data)

    def describe(self) -> ObjectDescription:
        """Return what the object list says of this object."""
        return ObjectDescription(
            class_id=self.class_id,
            version=self.version,
            obis=self.name,
            readable=frozenset({_LOGICAL_NAME, *self.reads}),
            writable=frozenset(self.writes),
            methods=frozenset(self.methods),
        )


def _try(handle: Write | None, data: Data) -> AccessResult:
    if handle is None:
        return AccessResult.READ_WRITE_DENIED
    try:
        return handle(data)
    except (CodecError, InvalidValueError):
        return AccessResult.TYPE_UNMATCHED
