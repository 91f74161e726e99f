"""What a scenario says of a simulated Modbus meter's line, and the line itself."""

import ssl
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from quince.firmware_sims.modbus.faults import Faults
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.modbus.serving import serve_rtu, serve_rtu_tcp, serve_tcp, serve_tls
from quince.protocols.modbus.documents import parse_profile
from quince.protocols.modbus.profiles import ModbusProfile


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TcpConfig(_Strict):
    """Modbus TCP, or RTU frames as a serial server passes them on."""

    kind: Literal["tcp", "rtu+tcp"]


class TlsConfig(_Strict):
    """Modbus TCP behind TLS: whoever asks must have a certificate of the authority's."""

    kind: Literal["tls"]
    ca_file: Path
    cert_file: Path
    key_file: Path


class RtuConfig(_Strict):
    """RTU on a pseudo-terminal that can be opened as `line`."""

    kind: Literal["rtu"]
    line: Path
    baud: int = 9600


LinkConfig = Annotated[TcpConfig | TlsConfig | RtuConfig, Field(discriminator="kind")]


class FaultsConfig(_Strict):
    """What is wrong with the line; `noise` in hexadecimal digits."""

    silent: bool = False
    noise: str = Field(default="", pattern="^([0-9a-f]{2}){0,64}$")
    noisy_answers: int = Field(default=0, ge=0)
    answers_as: int | None = Field(default=None, ge=1, le=255)

    def faults(self) -> Faults:
        """Return them as the line has them."""
        return Faults(
            silent=self.silent,
            noise=bytes.fromhex(self.noise),
            noisy_answers=self.noisy_answers,
            answers_as=self.answers_as,
        )


def load_profile(path: Path) -> ModbusProfile:
    """Read a profile; what it extends stands beside it."""

    def find(name: str) -> str:
        return path.with_name(f"{name}.toml").read_text(encoding="utf-8")

    return parse_profile(path.read_text(encoding="utf-8"), find)


def serve_line(
    meter: ModbusMeter, link: LinkConfig, address: tuple[str, int], faults: Faults
) -> AbstractAsyncContextManager[object]:
    """Return the meter's line, to be entered; `address` is a network line's host and port."""
    match link:
        case TcpConfig(kind="tcp"):
            return serve_tcp([meter], *address, faults=faults)
        case TcpConfig():
            return serve_rtu_tcp([meter], *address, faults=faults)
        case TlsConfig():
            return serve_tls([meter], *address, server_context(link), faults=faults)
        case RtuConfig():
            return serve_rtu([meter], link.line, baud=link.baud, faults=faults)


def server_context(config: TlsConfig) -> ssl.SSLContext:
    """Return a context that believes whom the authority signed, and nobody else."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=config.ca_file)
    context.load_cert_chain(config.cert_file, config.key_file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
