"""The picture in the documentation is what the commands print, and is renewed when it is not."""

import html
import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.phases import Wiring
from quince.protocols.dlms.security.credentials import Password

PICTURE = Path(__file__).parents[3] / "docs" / "pictures" / "technician.svg"
WIDTH = 84
COMMANDS = (
    "quince-edge identify QN-1",
    "quince-edge clock QN-1",
    "quince-edge watch QN-1 --count 1",
    "quince-edge events QN-1",
    "quince-edge profile QN-1 --from 2026-05-02T05:15Z",
)
CONFIG = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
broker = {{ host = "127.0.0.1", port = 1883 }}
[[meters]]
kind = "dlms"
id = "QN-1"
url = "tcp://127.0.0.1:{port}"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "QN-1"
security = {{ kind = "lls", password = "12345678" }}
"""


@pytest.fixture
def visited(background, stopped_clock, tmp_path):
    """A meter whose second transformer is the wrong way round, and whose cover was off."""
    meter = DlmsMeter(
        device_id="QN-1",
        household=Household(seed=1, base_wh=400),
        supply=Supply(),
        clock=stopped_clock,
        accepts=(Password(secret=b"12345678"),),
        build=Build(wiring=Wiring(reversed_ct=frozenset({2})), current_ratio=(200, 5)),
    )
    meter.open_cover()
    meter.close_cover()
    server = background.run(serve_wrapper(meter, "127.0.0.1", 0))
    background.serve(server)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "gateway.toml").write_text(CONFIG.format(port=port))


@pytest.mark.usefixtures("visited")
def test_the_picture_is_what_the_commands_print(quince, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    screen = Console(record=True, width=WIDTH, file=io.StringIO())
    for command in COMMANDS:
        quince(*command.split()[1:])
        screen.print(Text(f"$ {command}", style="bold"))
        screen.print(Text(capsys.readouterr().out.rstrip()))
        screen.print()
    drawn = screen.export_svg(title="quince-edge")
    shown = PICTURE.read_text(encoding="utf-8") if PICTURE.exists() else ""
    PICTURE.write_text(drawn, encoding="utf-8")
    assert words(shown) == words(drawn), "the picture was renewed: look at it, and keep it"


def words(svg):
    """The texts of a picture, whatever they look like: that is for the drawing library to say."""
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]
