"""What a device asks at the head-end's door: to be made a gateway, and to stay one."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from quince.edge.enrolment.identity import signing_request
from quince.edge.errors import HeadendRefusedError
from quince.model.errors import CodecError
from quince.protocols.gateway.enrolment import (
    ANSWER_BYTES_MAX,
    Enrolled,
    read_enrolled,
    sign_renewal,
)
from quince.protocols.visits.documents import Document


def enrolment_body(token: str, key: ec.EllipticCurvePrivateKey) -> Document:
    """Return what makes the holder of `key` the token's gateway."""
    request = signing_request(key)
    return {"token": token, "csr": request.public_bytes(Encoding.PEM).decode()}


def renewal_body(
    serial: str, old_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey
) -> Document:
    """Return what has `key` certified in the place of the old certificate's."""
    request = signing_request(key)
    proof = sign_renewal(request.public_bytes(Encoding.DER), old_key)
    return {
        "serial": serial,
        "csr": request.public_bytes(Encoding.PEM).decode(),
        "signature": base64.b64encode(proof).decode(),
    }


async def knock(url: str, path: str, body: Document, *, ca_file: Path | None) -> Enrolled:
    """Ask, and return what is given.

    HeadendUnreachableError: ask again later. TokenRefusedError, HeadendRefusedError: do not.
    """
    from quince.edge.headend_door import ask, open_client  # noqa: PLC0415 - as it says: once a year

    async with open_client(url, ca_file=ca_file) as client:
        answer = await ask(client, "POST", path, bytes_max=ANSWER_BYTES_MAX, json=body)
    try:
        return read_enrolled(answer)
    except CodecError as error:
        raise HeadendRefusedError(str(error)) from error
