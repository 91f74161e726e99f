"""The control octet of an HDLC frame: what kind it is, what it counts, whether it gives the turn.

The kinds are those that IEC 62056-46 selects from HDLC (as analysers for it list them), and REJ,
which it leaves out.
"""

# Gives the turn to the server, or back to the client.
POLL = 0x10
SNRM, UA, DISC, DM, FRMR, UI = 0x83, 0x63, 0x43, 0x0F, 0x87, 0x03
READY, NOT_READY, REJECT = 0x01, 0x05, 0x09
_SUPERVISORY_MASK = 0x0F
# Why a frame is rejected, in the last octet of a FRMR (ISO/IEC 13239, from memory).
UNKNOWN_CONTROL, WRONG_ACKNOWLEDGEMENT = 0x01, 0x08


def is_information(control: int) -> bool:
    """Whether this is an I frame, which carries a segment and counts."""
    return not control & 1


def supervisory_kind(control: int) -> int | None:
    """Return READY, NOT_READY or REJECT; None if this is none of them."""
    kind = control & _SUPERVISORY_MASK
    return kind if kind in (READY, NOT_READY, REJECT) else None


def unnumbered_kind(control: int) -> int:
    """Return the octet without its poll bit, as SNRM and the others of its kind are written."""
    return control & ~POLL


def sent_number(control: int) -> int:
    """Return N(S), the number of an I frame."""
    return control >> 1 & 7


def expected_number(control: int) -> int:
    """Return N(R), the frame that the sender of an I or S frame expects next."""
    return control >> 5


def information(*, number: int, expected: int, poll: bool) -> int:
    """Return the control octet of an I frame."""
    return expected << 5 | (POLL if poll else 0) | number << 1


def supervisory(kind: int, *, expected: int) -> int:
    """Return the control octet of an S frame, which always gives the turn."""
    return expected << 5 | POLL | kind
