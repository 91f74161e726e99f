"""Who gave a command: Ed25519 over its octets, so that a captured broker commands nobody.

Law: what is acted on is the very octets that were signed, never a re-encoding of them.
"""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.message import DecodeError

from quince.model.errors import CodecError
from quince.protocols.gateway import command_pb2 as wire
from quince.protocols.gateway.commands import (
    COMMAND_BYTES_MAX,
    Command,
    decode_command,
    encode_command,
)
from quince.protocols.gateway.errors import SignatureError

# What else is ever signed with such a key cannot be taken for a command.
_DOMAIN = b"quince command v1\0"
_ENVELOPE_BYTES_MAX = 256  # the signer's name, the signature, and their tags


def sign_command(command: Command, *, signer: str, key: Ed25519PrivateKey) -> bytes:
    """Return the message for a gateway that knows `signer`'s public key."""
    octets = encode_command(command)
    return wire.SignedCommand(
        command=octets, signer=signer, signature=key.sign(_DOMAIN + octets)
    ).SerializeToString(deterministic=True)


def verify_command(message: bytes, signers: Mapping[str, Ed25519PublicKey]) -> Command:
    """Return the command of one of `signers`.

    CodecError for what is no signed command; SignatureError for one of nobody we know.
    """
    if len(message) > COMMAND_BYTES_MAX + _ENVELOPE_BYTES_MAX:
        raise CodecError(f"signed command of {len(message)} octets; at most {COMMAND_BYTES_MAX}")
    try:
        signed = wire.SignedCommand.FromString(message)
    except DecodeError as error:
        raise CodecError(f"not a signed command: {error}") from error
    key = signers.get(signed.signer)
    if key is None:
        raise SignatureError(f"signer {signed.signer!r} is not known here")
    try:
        key.verify(signed.signature, _DOMAIN + signed.command)
    except InvalidSignature as error:
        raise SignatureError(f"not signed by {signed.signer!r}") from error
    return decode_command(signed.command)
