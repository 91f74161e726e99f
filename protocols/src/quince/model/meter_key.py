"""Which of a meter's keys."""

from enum import StrEnum


class MeterKey(StrEnum):
    """The symmetric keys a session with a meter stands on, and the one that wraps new ones."""

    ENCRYPTION = "encryption"
    AUTHENTICATION = "authentication"
    MASTER = "master"
