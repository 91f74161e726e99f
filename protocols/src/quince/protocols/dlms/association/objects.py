"""What a meter must be able to answer for its association to serve it."""

from typing import Protocol

from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.encoding.axdr import Data, Value


class ObjectModel(Protocol):
    """What the meter holds. Lists, blocks and ACCESS are made of these three."""

    def get(self, ref: Ref, access: Access | None) -> Value | AccessResult:
        """Return an attribute, or why not; Encoded where the octets are at hand."""
        ...

    def set(self, ref: Ref, data: Data) -> AccessResult:
        """Write an attribute."""
        ...

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        """Call a method."""
        ...


def set_selected(objects: ObjectModel, ref: Ref, access: Access | None, data: Data) -> AccessResult:
    """Write an attribute; a part of one, selected by `access`, cannot be written here."""
    if access is not None:
        return AccessResult.SCOPE_OF_ACCESS_VIOLATED
    return objects.set(ref, data)
