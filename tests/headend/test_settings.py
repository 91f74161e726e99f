from pathlib import Path
from typing import Any

import pytest

from quince.headend.process import mqtt_link
from quince.headend.settings import Settings, load_settings
from quince.model.errors import InvalidValueError


def test_a_misspelt_variable_stops_the_start_and_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QUINCE_HEADEND_MQTT_HOTS", "broker")
    with pytest.raises(InvalidValueError, match="did you mean QUINCE_HEADEND_MQTT_HOST"):
        load_settings()


def test_variables_of_others_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUINCE_EDGE_NAME", "gw-1")
    monkeypatch.setenv("QUINCE_HEADEND_CELL", "north")
    assert load_settings().cell == "north"


@pytest.mark.parametrize(
    "wrong",
    [
        {"clock": "noon"},
        {"cell": "a/b"},
        {"mqtt_port": "0"},
    ],
)
def test_a_setting_that_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    ((name, value),) = wrong.items()
    monkeypatch.setenv("QUINCE_HEADEND_" + name.upper(), value)
    with pytest.raises(InvalidValueError, match=f"QUINCE_HEADEND_{name.upper()} = '{value}'"):
        load_settings()


@pytest.mark.parametrize("lonely", ["mqtt_cert", "mqtt_key"])
def test_a_certificate_alone_turns_nothing_on(lonely: str) -> None:
    files: dict[str, Any] = {"mqtt_ca": Path("ca.pem"), lonely: Path("file.pem")}
    with pytest.raises(InvalidValueError, match="go together"):
        mqtt_link(Settings(**files))
    with pytest.raises(InvalidValueError, match="turns TLS on"):
        mqtt_link(Settings(mqtt_cert=Path("cert.pem"), mqtt_key=Path("key.pem")))


def test_the_link_bears_the_cells_name_and_its_secrets() -> None:
    settings = Settings(
        cell="north",
        mqtt_username="headend",
        mqtt_password="secret",  # type: ignore[arg-type]  # pydantic wraps it
        mqtt_ca=Path("ca.pem"),
    )
    link = mqtt_link(settings)
    assert (link.client_id, link.password) == ("quince-headend-north", "secret")
    assert link.tls is not None


def test_the_dashboard_listens_on_loopback_unless_told_otherwise() -> None:
    assert Settings().http_host == "127.0.0.1"
    assert mqtt_link(Settings()).tls is None
