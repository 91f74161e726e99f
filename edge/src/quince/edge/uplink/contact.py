"""Whether there is contact with the broker, since when, and why not."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """`version` is that of the MQTT session, empty while there is none; `reason` says why not."""

    since_utc: datetime | None
    version: str = ""
    reason: str = ""

    @property
    def online(self) -> bool:
        """Whether there is a session."""
        return self.version != ""


NO_CONTACT = Contact(since_utc=None)  # before the first attempt has ended
