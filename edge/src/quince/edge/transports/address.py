"""Host and port out of a line's URL."""

from urllib.parse import urlsplit

from quince.model.errors import InvalidValueError


def host_and_port(url: str, scheme: str) -> tuple[str, int]:
    """Return both out of `scheme://host:port`; InvalidValueError for anything else."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise InvalidValueError("url", url, str(error)) from error
    if parts.scheme != scheme or not parts.hostname or not port:
        raise InvalidValueError("url", url, f"expected {scheme}://host:port")
    return parts.hostname, port
