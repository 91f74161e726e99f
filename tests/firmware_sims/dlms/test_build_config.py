import tomllib
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from quince.firmware_sims.dlms.build_config import BuildConfig
from quince.firmware_sims.dlms.load_profile import Captures
from quince.firmware_sims.dlms.meter import Build
from quince.firmware_sims.dlms.profile import Style
from quince.model.obis import Obis
from quince.protocols.dlms.cosem.disconnect import ControlMode

TEXT = """
timezone = "Europe/Berlin"
drift_ppm = 20
reconnects = "by-hand"
loses_blocks = [3]
[profile]
registers = ["1-0:1.8.0", "1-0:2.8.0"]
intervals = ["1-0:3.29.0"]
days = 10
nulls = true
"""


def test_what_is_not_said_is_as_meters_mostly_are() -> None:
    assert BuildConfig().build() == Build(loses_blocks=frozenset())


def test_what_is_said_is_built() -> None:
    assert BuildConfig.model_validate(tomllib.loads(TEXT)).build() == Build(
        zone=ZoneInfo("Europe/Berlin"),
        drift_ppm=20,
        relay=ControlMode.RECONNECTED_BY_HAND,
        loses_blocks=frozenset({3}),
        captures=Captures(
            registers=(Obis(1, 0, 1, 8, 0), Obis(1, 0, 2, 8, 0)),
            intervals=(Obis(1, 0, 3, 29, 0),),
            days=10,
            style=Style(nulls=True),
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        'timezone = "Europe/Atlantis"',
        'timezone = "../etc/passwd"',
        'profile.registers = ["active import"]',
        "drift_ppm = 1000000",
        'colour = "blue"',
    ],
)
def test_what_cannot_be_built_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        BuildConfig.model_validate(tomllib.loads(text))
