"""What the kernel says of radio links."""

from hypothesis import given, settings, strategies as st

from quince.edge.commissioning.signal.check import Outcome
from quince.edge.commissioning.signal.wireless import radios

HEAD = """Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
"""


def test_a_good_radio_is_well():
    (one,) = radios(
        HEAD + " wlan0: 0000   54.  -56.  -256        0      0      0     2     0      0\n"
    )
    assert one.outcome is Outcome.OK
    assert one.measured == {"interface": "wlan0", "level_dbm": -56.0, "quality": 54.0}


def test_a_weak_radio_is_a_warning():
    (one,) = radios(
        HEAD + " wlan0: 0000   20.  -88.  -256        0      0      0     2     0      0\n"
    )
    assert (one.outcome, one.reason) == (Outcome.WARNING, "weak")


def test_a_computer_without_radio_has_none():
    assert list(radios(HEAD)) == []


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_any_text_is_survived(text):
    assert len(list(radios(HEAD + text))) <= 8
