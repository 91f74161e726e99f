"""The character layer of optical lines: seven bits and even parity in software, bauds, timings.

Parity is done here because optical heads on USB are often fixed at 8N1, and a pseudo-terminal is.
"""

SIGN_ON_BAUD = 300
BAUD_BY_CHARACTER = {
    "0": 300,
    "1": 600,
    "2": 1200,
    "3": 2400,
    "4": 4800,
    "5": 9600,
    "6": 19_200,
}
# Mode B. Source: issue 5 of lvzon/dsmr-p1-parser, which cites IEC 62056-21:2002.
BAUD_BY_LETTER = {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19_200}
PUSH_BAUD = 2400  # mode D: the meter speaks unasked
BITS_PER_CHARACTER = 10  # start, seven data, parity, stop

# The standard's reaction time is 200..1500 ms, from 20 ms on for makers who say so in lower case.
REACTION_S_MIN = 0.2
REACTION_SHORT_S_MIN = 0.02
REACTION_S_MAX = 1.5
SILENCE_S_MAX = 1.5  # between two characters of one message
# The standard lets a meter end a silent session after 60..120 s.
SESSION_IDLE_S_MAX = 60.0

# SUB stands for a character whose parity is wrong: it is legal in no message, so that the
# message's reader refuses it, and no other character moves.
DAMAGED = 0x1A

_EVEN = bytes(char & 0x7F | (char & 0x7F).bit_count() % 2 << 7 for char in range(256))
_CHECKED = bytes(DAMAGED if char.bit_count() % 2 else char & 0x7F for char in range(256))


def add_parity(characters: bytes) -> bytes:
    """Return seven-bit `characters` as they stand on the line, with even parity."""
    return characters.translate(_EVEN)


def check_parity(octets: bytes) -> bytes:
    """Return the seven-bit characters of `octets`, DAMAGED where the parity is wrong."""
    return octets.translate(_CHECKED)


def transmission_s(characters: int, baud: int) -> float:
    """Return how long `characters` are on the line at `baud`."""
    return characters * BITS_PER_CHARACTER / baud
