from pathlib import Path

import pytest

from quince.billing.settings import load_settings
from quince.model.errors import InvalidValueError


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUINCE_BILLING_DATABASE", "/somewhere/quince.db")
    monkeypatch.setenv("QUINCE_BILLING_TENANT_ID", "7")
    settings = load_settings()
    assert (settings.database, settings.tenant_id) == (Path("/somewhere/quince.db"), 7)
    assert settings.clock == "system"


def test_a_misspelt_setting_stops_the_start_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QUINCE_BILLING_DATABSE", "/somewhere/quince.db")
    with pytest.raises(InvalidValueError, match="did you mean QUINCE_BILLING_DATABASE"):
        load_settings()


def test_there_is_no_tenant_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUINCE_BILLING_TENANT_ID", "0")
    with pytest.raises(InvalidValueError, match="greater than or equal to 1"):
        load_settings()
