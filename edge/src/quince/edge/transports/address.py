"""What a line's URL says: which host and port, or which device and baud; and which bus it is."""

from urllib.parse import SplitResult, parse_qsl, urlsplit

from quince.model.errors import InvalidValueError

# Whole octets per second from 30 to 11,520: what meters' ports can be set to.
_BAUDS = frozenset({300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200})


def host_and_port(url: str, scheme: str) -> tuple[str, int]:
    """Return both out of `scheme://host:port`; InvalidValueError for anything else.

    An IPv6 address stands in brackets: `tcp://[2001:db8::1]:4059`.
    """
    parts = _split(url)
    try:
        port = parts.port
    except ValueError as error:
        raise InvalidValueError("url", url, str(error)) from error
    if parts.scheme != scheme or not parts.hostname or not port:
        raise InvalidValueError("url", url, f"expected {scheme}://host:port")
    return parts.hostname, port


def device_and_baud(url: str, default_baud: int) -> tuple[str, int]:
    """Return both out of `scheme:/dev/…?baud=…`; InvalidValueError names what is wrong."""
    parts = _split(url)
    if not parts.path or parts.netloc:
        raise InvalidValueError("url", url, f"expected {parts.scheme}:/dev/…")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    digits = options.pop("baud", str(default_baud))
    if options:
        raise InvalidValueError("url", url, f"{', '.join(options)}: no option of this line")
    if not digits.isdecimal() or int(digits) not in _BAUDS:
        raise InvalidValueError("url", url, f"baud={digits}: none of {sorted(_BAUDS)}")
    return parts.path, int(digits)


def bus_of(url: str) -> str:
    """Name the bus that a line is on: meters of one bus are visited one after another.

    One device is one bus, whatever its baud and mode; one host and port is one, whatever is
    spoken there.
    """
    parts = _split(url)
    if not parts.netloc:
        return parts.path or url
    return f"{'udp' if parts.scheme.endswith('udp') else 'tcp'}://{parts.netloc}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:  # a bracket without its other half
        raise InvalidValueError("url", url, str(error)) from error
