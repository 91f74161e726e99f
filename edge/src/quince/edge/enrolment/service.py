"""Becoming a gateway by a one-time token: everything it needs, in one folder.

Whatever breaks off on the way is taken up again by the same token: the key that waits in the folder
is what the head-end knows the device by.
"""

import json
from pathlib import Path

from quince.edge.config import load_config
from quince.edge.enrolment.door import enrolment_body, knock
from quince.edge.enrolment.identity import Identity
from quince.edge.errors import HeadendRefusedError, TokenRefusedError
from quince.edge.files import private_folder, replace_file
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.enrolment import Enrolled
from quince.protocols.gateway.topics import GatewayAddress

CONFIG_FILE = "gateway.toml"
_KEY_FILE, _CERTIFICATE_FILE = "gateway.key", "gateway.crt"
_CA_FILE, _HEADEND_CA_FILE = "ca.crt", "headend-ca.crt"
_SECRET, _PUBLIC = 0o600, 0o644


async def enrol(url: str, token: str, *, ca_file: Path | None, folder: Path) -> Enrolled:
    """Make this device the token's gateway: key, certificate, and a configuration without meters.

    A configuration that is there already stays, if it is the same gateway's. TokenRefusedError for
    a token that is no good, HeadendUnreachableError where it is worth trying again.
    """
    identity = Identity(
        key_file=private_folder(folder) / _KEY_FILE, certificate_file=folder / _CERTIFICATE_FILE
    )
    identity.settle()
    config_file = folder / CONFIG_FILE
    here = _address_in(config_file) if config_file.exists() else None
    trusted = None if ca_file is None else _read(ca_file)
    body = enrolment_body(token, identity.next_key())
    try:
        enrolled = await knock(url, "/v1/gateways/enrol", body, ca_file=ca_file)
    except TokenRefusedError:
        identity.forget_next()
        raise
    if here not in (None, enrolled.address):
        raise HeadendRefusedError(
            f"the token is for {enrolled.address.gateway}, and {config_file} for another gateway"
        )
    replace_file(folder / _CA_FILE, enrolled.ca.encode(), mode=_PUBLIC)
    if trusted is not None:
        replace_file(folder / _HEADEND_CA_FILE, trusted, mode=_PUBLIC)
    if here is None:
        text = configuration(enrolled, own_trust=trusted is not None)
        replace_file(config_file, text.encode(), mode=_SECRET)  # meters' keys are added to it
    identity.adopt(enrolled.certificate)
    return enrolled


def configuration(enrolled: Enrolled, *, own_trust: bool) -> str:
    """Return the text of a gateway's configuration file; the meters are added to it.

    `own_trust`: the head-end's door is believed by the file that came with the token.
    """
    lines = [
        f"gateway = {_quoted(enrolled.address.gateway)}",
        f"cell = {_quoted(enrolled.address.cell)}",
        'outbox = "outbox.db"',
        "",
        "[broker]",
        f"host = {_quoted(enrolled.broker_host)}",
        f"port = {enrolled.broker_port}",
        "[broker.tls]",
        f'ca_file = "{_CA_FILE}"',
        f'cert_file = "{_CERTIFICATE_FILE}"',
        f'key_file = "{_KEY_FILE}"',
        "",
        "[headend]",
        f"url = {_quoted(enrolled.headend_url)}",
    ]
    if own_trust:
        lines.append(f'ca_file = "{_HEADEND_CA_FILE}"')
    if enrolled.signers:
        lines += ["", "[commands.signers]"]
        lines += [f"{_quoted(name)} = {_quoted(key)}" for name, key in enrolled.signers.items()]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """Return a TOML string: what is left of names, hosts and addresses, JSON writes the same."""
    return json.dumps(text)


def _address_in(config_file: Path) -> GatewayAddress:
    config = load_config(config_file)
    return GatewayAddress(cell=config.cell, gateway=config.gateway)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValueError("ca", str(path), str(error)) from error
