import pytest

from quince.model.errors import InvalidValueError
from quince.portal_api.settings import load_settings


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("QUINCE_PORTAL_API_HTTP_PORT", "8123")
    assert load_settings().http_port == 8123


def test_a_misspelt_setting_stops_the_start(monkeypatch):
    monkeypatch.setenv("QUINCE_PORTAL_API_HTP_PORT", "8123")
    with pytest.raises(InvalidValueError, match="QUINCE_PORTAL_API_HTTP_PORT"):
        load_settings()
