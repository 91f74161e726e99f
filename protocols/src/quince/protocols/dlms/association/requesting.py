"""How a client asks: which forms were agreed on, and which of them a request needs.

A list goes as a list if the meter takes lists, one by one if not. What is longer than an APDU the
meter receives goes in its service's blocks, or whole, for general block transfer to cut; a list
with neither goes one by one again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from quince.protocols.dlms.apdu.access import AccessPart, AccessRequest, AccessService
from quince.protocols.dlms.apdu.action import ActionListRequest, ActionRequest
from quince.protocols.dlms.apdu.apdu import Request
from quince.protocols.dlms.apdu.get import GetListRequest, GetRequest
from quince.protocols.dlms.apdu.initiate import Conformance
from quince.protocols.dlms.apdu.invocation import INVOKE_IDS
from quince.protocols.dlms.apdu.reference import (
    REFERENCES_MAX,
    Access,
    Item,
    Ref,
    encode_access,
)
from quince.protocols.dlms.apdu.set import SetListRequest, SetRequest
from quince.protocols.dlms.association.exchanges import (
    AccessExchange,
    ActionExchange,
    Exchange,
    GetExchange,
    SetExchange,
)
from quince.protocols.dlms.encoding.axdr import NULL, Data
from quince.protocols.dlms.encoding.tags import Tag

_Item = TypeVar("_Item")
# Tag, kind, invoke id and the count of a list.
_LIST_HEAD_OCTETS = 5
# A block's own fields, and an octet in it.
_BLOCK_OCTETS_MIN = 10


class Requests:
    """Makes the exchanges of one association; `last_invoke_id` is the one its opening used."""

    def __init__(self, *, room_octets: int, conformance: int, last_invoke_id: int) -> None:
        self._room_octets = room_octets
        self._conformance = conformance
        self._invoke_id = last_invoke_id

    def get(self, ref: Ref, access: Access | None) -> Exchange:
        """Read an attribute."""
        return GetExchange(GetRequest(invoke_id=self._count(), ref=ref, access=access))

    def set(self, ref: Ref, data: Data, access: Access | None) -> Exchange:
        """Write an attribute."""
        whole = SetRequest(invoke_id=self._count(), ref=ref, access=access, data=data)
        return SetExchange(whole, self._block_room(whole, Conformance.BLOCK_TRANSFER_WITH_SET))

    def action(self, ref: Ref, data: Data | None) -> Exchange:
        """Call a method."""
        whole = ActionRequest(invoke_id=self._count(), ref=ref, data=data)
        room_octets = self._block_room(whole, Conformance.BLOCK_TRANSFER_WITH_ACTION)
        return ActionExchange(whole, room_octets)

    def get_list(self, items: Sequence[Item]) -> list[Exchange]:
        """Read attributes."""
        if not self._agreed(Conformance.MULTIPLE_REFERENCES):
            return [self.get(ref, access) for ref, access in items]
        return [
            GetExchange(GetListRequest(invoke_id=self._count(), items=tuple(some)))
            for some in self._fitting(items, _item_octets)
        ]

    def set_list(self, items: Sequence[tuple[Ref, Data]]) -> list[Exchange]:
        """Write attributes."""
        if not self._agreed(Conformance.MULTIPLE_REFERENCES):
            return [self.set(ref, data, None) for ref, data in items]
        exchanges: list[Exchange] = []
        for some in self._fitting(items, _item_octets, reserve_octets=_BLOCK_OCTETS_MIN):
            whole = SetListRequest(
                invoke_id=self._count(),
                items=tuple((ref, None) for ref, _data in some),
                values=tuple(data for _ref, data in some),
            )
            if self._goes(whole, Conformance.BLOCK_TRANSFER_WITH_SET):
                room_octets = self._block_room(whole, Conformance.BLOCK_TRANSFER_WITH_SET)
                exchanges.append(SetExchange(whole, room_octets))
            else:
                exchanges += [self.set(ref, data, None) for ref, data in some]
        return exchanges

    def action_list(self, items: Sequence[tuple[Ref, Data | None]]) -> list[Exchange]:
        """Call methods."""
        if not self._agreed(Conformance.MULTIPLE_REFERENCES):
            return [self.action(ref, data) for ref, data in items]
        exchanges: list[Exchange] = []
        for some in self._fitting(items, _item_octets, reserve_octets=_BLOCK_OCTETS_MIN):
            whole = ActionListRequest(
                invoke_id=self._count(),
                refs=tuple(ref for ref, _data in some),
                values=tuple(NULL if data is None else data for _ref, data in some),
            )
            if self._goes(whole, Conformance.BLOCK_TRANSFER_WITH_ACTION):
                room_octets = self._block_room(whole, Conformance.BLOCK_TRANSFER_WITH_ACTION)
                exchanges.append(ActionExchange(whole, room_octets))
            else:
                exchanges += [self.action(ref, data) for ref, data in some]
        return exchanges

    def access(self, parts: Sequence[tuple[AccessPart, Data]]) -> list[Exchange]:
        """Read, write and call; part by part if the meter knows no ACCESS."""
        exchanges: list[Exchange] = []
        for at in range(0, len(parts), REFERENCES_MAX):
            some = parts[at : at + REFERENCES_MAX]
            whole = AccessRequest(
                invoke_id=self._count(),
                parts=tuple(part for part, _data in some),
                values=tuple(data for _part, data in some),
            )
            if self._agreed(Conformance.ACCESS) and self._goes(whole):
                exchanges.append(AccessExchange(whole))
            else:
                exchanges += [self._part(part, data) for part, data in some]
        return exchanges

    def _part(self, part: AccessPart, data: Data) -> Exchange:
        match part.service:
            case AccessService.GET:
                return self.get(part.ref, part.access)
            case AccessService.SET:
                return self.set(part.ref, data, part.access)
            case AccessService.ACTION:
                return self.action(part.ref, None if data.tag is Tag.NULL else data)

    def _count(self) -> int:
        self._invoke_id = (self._invoke_id + 1) % INVOKE_IDS
        return self._invoke_id

    def _agreed(self, bit: Conformance) -> bool:
        return bool(self._conformance & bit)

    def _goes(self, whole: Request, blocks: Conformance | None = None) -> bool:
        """Say whether `whole` fits, or there are blocks to cut it into."""
        return (
            len(whole.encode()) <= self._room_octets
            or (blocks is not None and self._agreed(blocks))
            or self._agreed(Conformance.GENERAL_BLOCK_TRANSFER)
        )

    def _block_room(self, whole: Request, blocks: Conformance) -> int | None:
        """Return the room of an APDU if `whole` is to go in blocks, None if not."""
        is_long = len(whole.encode()) > self._room_octets
        return self._room_octets if is_long and self._agreed(blocks) else None

    def _fitting(
        self,
        items: Sequence[_Item],
        octets_of: Callable[[_Item], int],
        *,
        reserve_octets: int = 0,
    ) -> Iterator[list[_Item]]:
        """Part a list so that its references fit an APDU, and `reserve_octets` behind them."""
        some: list[_Item] = []
        room = self._room_octets - _LIST_HEAD_OCTETS - reserve_octets
        octets = 0
        for item in items:
            octets += octets_of(item)
            if some and (octets > room or len(some) == REFERENCES_MAX):
                yield some
                some, octets = [], octets_of(item)
            some.append(item)
        yield some


def _item_octets(item: tuple[Ref, Access | Data | None]) -> int:
    """Return what a reference takes; data follows in blocks, if it must."""
    ref, access = item
    return len(ref.encode()) + len(encode_access(access if isinstance(access, Access) else None))
