"""A meter named by its line, without a configuration."""

import pytest

from quince.edge.commissioning.ad_hoc import is_url, meter_at
from quince.edge.config import DlmsMeterConfig, OpticalMeterConfig
from quince.model.errors import InvalidValueError


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("tcp://10.0.0.5:4059", "dlms"),
        ("serial:/dev/ttyUSB0?baud=9600", "dlms"),
        ("optical:/dev/ttyUSB0", "optical"),
    ],
)
def test_the_kind_is_the_urls(url, kind):
    assert is_url(url)
    assert meter_at(url, (), None).kind == kind


def test_fields_are_what_a_configuration_says_of_them():
    fields = ("address_octets=4", "physical_address=17", 'quirks=["deviation_inverted"]')
    meter = meter_at("serial:/dev/ttyUSB0", fields, None)
    assert isinstance(meter, DlmsMeterConfig)
    assert (meter.address_octets, meter.physical_address) == (4, 17)
    assert meter.quirks == {"deviation_inverted"}


def test_digits_of_a_name_stay_a_name():
    meter = meter_at("optical:/dev/ttyUSB0", ("device_address=00123",), None)
    assert isinstance(meter, OpticalMeterConfig)
    assert meter.device_address == "00123"


@pytest.mark.parametrize(
    ("url", "fields", "said"),
    [
        ("modbus+tcp://10.0.0.5:502", (), "profile"),
        ("tcp://10.0.0.5:4059", ("kind=mbus",), "kind"),
        ("tcp://10.0.0.5:4059", ("client_sap",), "name=value"),
        ("tcp://10.0.0.5:4059", ("client_sap=900",), "client_sap"),
        ("tcp://10.0.0.5:4059", ("security=none",), "--secrets"),
    ],
)
def test_what_cannot_be_is_named(url, fields, said):
    with pytest.raises(InvalidValueError, match=said):
        meter_at(url, fields, None)


@pytest.mark.parametrize("text", ["no toml", 'id = "M1"'])
def test_secrets_are_secrets_alone(tmp_path, text):
    (tmp_path / "secrets").write_text(text)
    with pytest.raises(InvalidValueError, match="--secrets"):
        meter_at("tcp://10.0.0.5:4059", (), tmp_path / "secrets")
