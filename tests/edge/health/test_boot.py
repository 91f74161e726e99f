import pytest

from quince.edge.health.boot import BootReason, boot_id, boot_reason
from quince.edge.health.memory import available_kb, resident_kb


@pytest.mark.parametrize(
    ("present", "before", "reason"),
    [
        ("b", "a", BootReason.MACHINE),
        ("a", "a", BootReason.PROCESS),
        ("a", "", BootReason.UNKNOWN),
        ("", "a", BootReason.UNKNOWN),
    ],
)
def test_a_start_has_its_reason_in_the_boots_names(present, before, reason):
    assert boot_reason(present, before) is reason


def test_a_system_that_does_not_name_its_boots_has_an_empty_name(tmp_path):
    assert boot_id(tmp_path / "none") == ""
    (tmp_path / "boot_id").write_text("b4c5c1bb\n")
    assert boot_id(tmp_path / "boot_id") == "b4c5c1bb"


def test_memory_is_what_the_system_tells_or_unknown(tmp_path):
    told = tmp_path / "status"
    told.write_text("Name:\tquince\nVmRSS:\t   61234 kB\nMemAvailable: lots\n")
    assert resident_kb(told) == 61234
    assert available_kb(told) is None
    assert resident_kb(tmp_path / "none") is None
