"""The checks, against the catalogue's values for the nine digits."""

import pytest

from quince.protocols.crc import crc_arc, crc_kermit, crc_x25


@pytest.mark.parametrize(
    ("check", "expected"), [(crc_x25, 0x906E), (crc_kermit, 0x2189), (crc_arc, 0xBB3D)]
)
def test_the_nine_digits_have_their_known_check(check: object, expected: int) -> None:
    assert callable(check)
    assert check(b"123456789") == expected
