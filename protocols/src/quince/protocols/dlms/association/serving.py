"""The meter's side of all services: each request to its service, and ACCESS made of them all.

Law: a request gives up what another left half done, of its own service or another's, unless it
continues it.
"""

from dataclasses import replace

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.access import (
    AccessOutcome,
    AccessPart,
    AccessRequest,
    AccessResponse,
    AccessService,
)
from quince.protocols.dlms.apdu.action import AnyActionRequest
from quince.protocols.dlms.apdu.apdu import Apdu, Response
from quince.protocols.dlms.apdu.get import AnyGetRequest
from quince.protocols.dlms.apdu.initiate import Conformance
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.apdu.set import AnySetRequest
from quince.protocols.dlms.association.objects import ObjectModel, set_selected
from quince.protocols.dlms.association.serving_action import ActionService
from quince.protocols.dlms.association.serving_get import GetService
from quince.protocols.dlms.association.serving_set import SetService
from quince.protocols.dlms.encoding.axdr import NULL, Data, Value
from quince.protocols.dlms.encoding.tags import Tag


class Services:
    """Answers the requests of one association, in APDUs of `room_octets` where it can.

    A long answer is whole if its service's blocks are not in `conformance`, or it has none: then
    the association cuts or refuses it.
    """

    def __init__(self, objects: ObjectModel, *, room_octets: int, conformance: int) -> None:
        self._objects = objects
        self._get = GetService(
            objects,
            room_octets=room_octets,
            in_blocks=bool(conformance & Conformance.BLOCK_TRANSFER_WITH_GET),
        )
        self._set = SetService(objects)
        self._action = ActionService(
            objects,
            room_octets=room_octets,
            in_blocks=bool(conformance & Conformance.BLOCK_TRANSFER_WITH_ACTION),
        )

    def answer(self, request: Apdu) -> Response | None:
        """Perform a request; None if it wants no answer; CodecError for an APDU that is none.

        A read is answered however it is asked for: clients made after the standard's older
        examples mark all their requests as unconfirmed.
        """
        if isinstance(request, AnyGetRequest):
            self._forget(self._set, self._action)
            response: Response = self._get.answer(request)
            return replace(response, is_urgent=request.is_urgent)
        if isinstance(request, AnySetRequest):
            self._forget(self._get, self._action)
            response = self._set.answer(request)
        elif isinstance(request, AnyActionRequest):
            self._forget(self._get, self._set)
            response = self._action.answer(request)
        elif isinstance(request, AccessRequest):
            self._forget(self._get, self._set, self._action)
            response = self._access(request)
        else:
            raise CodecError("not a request this server knows")
        return replace(response, is_urgent=request.is_urgent) if request.is_confirmed else None

    def _forget(self, *others: GetService | SetService | ActionService) -> None:
        for service in others:
            service.forget()

    def _access(self, request: AccessRequest) -> AccessResponse:
        return AccessResponse(
            invoke_id=request.invoke_id,
            date_time=request.date_time,
            outcomes=tuple(
                [
                    self._perform(part, value)
                    for part, value in zip(request.parts, request.values, strict=True)
                ]
            ),
        )

    def _perform(self, part: AccessPart, value: Data) -> AccessOutcome:
        data: Value | None = None
        match part.service:
            case AccessService.GET:
                got = self._objects.get(part.ref, part.access)
                result = got if isinstance(got, AccessResult) else AccessResult.SUCCESS
                data = None if isinstance(got, AccessResult) else got
            case AccessService.SET:
                result = set_selected(self._objects, part.ref, part.access, value)
            case AccessService.ACTION:
                parameter = None if value.tag is Tag.NULL else value
                result, data = self._objects.action(part.ref, parameter)
        return AccessOutcome(
            service=part.service, result=result, data=NULL if data is None else data
        )
