"""Any plain APDU of the application services, read by its tag."""

from collections.abc import Callable

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.access import (
    ACCESS_REQUEST,
    ACCESS_RESPONSE,
    AccessRequest,
    AccessResponse,
    read_access_request,
    read_access_response,
)
from quince.protocols.dlms.apdu.action import (
    ACTION_REQUEST,
    ACTION_RESPONSE,
    AnyActionRequest,
    AnyActionResponse,
    read_action_request,
    read_action_response,
)
from quince.protocols.dlms.apdu.block_transfer import (
    GENERAL_BLOCK_TRANSFER,
    GeneralBlock,
    read_general_block,
)
from quince.protocols.dlms.apdu.exception import (
    CONFIRMED_SERVICE_ERROR,
    EXCEPTION_RESPONSE,
    ConfirmedServiceError,
    ExceptionResponse,
    read_confirmed_service_error,
    read_exception,
)
from quince.protocols.dlms.apdu.get import (
    GET_REQUEST,
    GET_RESPONSE,
    AnyGetRequest,
    AnyGetResponse,
    read_get_request,
    read_get_response,
)
from quince.protocols.dlms.apdu.invocation import Invoked, LongInvoked
from quince.protocols.dlms.apdu.notification import (
    DATA_NOTIFICATION,
    EVENT_NOTIFICATION,
    DataNotification,
    EventNotification,
    read_data_notification,
    read_event_notification,
)
from quince.protocols.dlms.apdu.set import (
    SET_REQUEST,
    SET_RESPONSE,
    AnySetRequest,
    AnySetResponse,
    read_set_request,
    read_set_response,
)
from quince.protocols.dlms.encoding.reader import Reader

Request = AnyGetRequest | AnySetRequest | AnyActionRequest | AccessRequest
Response = AnyGetResponse | AnySetResponse | AnyActionResponse | AccessResponse
Notification = EventNotification | DataNotification
Refusal = ExceptionResponse | ConfirmedServiceError
Apdu = Request | Response | Notification | Refusal | GeneralBlock

_READERS: dict[int, Callable[[Reader], Apdu]] = {
    GET_REQUEST: read_get_request,
    GET_RESPONSE: read_get_response,
    SET_REQUEST: read_set_request,
    SET_RESPONSE: read_set_response,
    ACTION_REQUEST: read_action_request,
    ACTION_RESPONSE: read_action_response,
    ACCESS_REQUEST: read_access_request,
    ACCESS_RESPONSE: read_access_response,
    EVENT_NOTIFICATION: read_event_notification,
    DATA_NOTIFICATION: read_data_notification,
    EXCEPTION_RESPONSE: read_exception,
    CONFIRMED_SERVICE_ERROR: read_confirmed_service_error,
    GENERAL_BLOCK_TRANSFER: read_general_block,
}
# Where the octet with an invocation's flags stands, in the short and in the long form.
_FLAGS_AT, _LONG_FLAGS_AT = 2, 1


def decode_apdu(octets: bytes) -> Apdu:
    """Read one plain APDU; CodecError for the kinds not spoken here."""
    reader = Reader(octets)
    tag = reader.octet()
    if tag not in _READERS:
        raise CodecError(f"APDU tag {tag:#04x} is not spoken here")
    apdu = _READERS[tag](reader)
    reader.finish("APDU")
    if isinstance(apdu, Invoked):
        at = _LONG_FLAGS_AT if isinstance(apdu, LongInvoked) else _FLAGS_AT
        return apdu.flagged(octets[at])
    return apdu
