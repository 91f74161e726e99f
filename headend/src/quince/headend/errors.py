"""The head-end's errors.

QuinceError
├── StoreBusyError         another writer holds the database; nothing was done, try again
├── StaleBlockError        a day block changed between reading and writing it; try again
├── CorruptBlockError      a day block in the database has no possible length
├── AssetFileError         a registration file has rows that cannot be
├── AssetConflictError     a registration contradicts what another tenant owns
└── UnknownTenantError     nobody registered that tenant
"""

from collections.abc import Sequence
from typing import ClassVar

from quince.model.errors import QuinceError


class StoreBusyError(QuinceError):
    """Another writer holds the database; nothing was done, and trying again is right."""

    code: ClassVar[str] = "store_busy"


class StaleBlockError(QuinceError):
    """Another writer changed a day block since it was read; the whole batch must be tried again."""

    code: ClassVar[str] = "stale_block"


class CorruptBlockError(QuinceError):
    """A day block whose length no encoder writes."""

    code: ClassVar[str] = "corrupt_block"


class AssetFileError(QuinceError):
    """A registration file that cannot be taken; `problems` names each row and its fault."""

    code: ClassVar[str] = "asset_file"

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the `problems`, one line each."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class AssetConflictError(QuinceError):
    """A cell that belongs to another tenant."""

    code: ClassVar[str] = "asset_conflict"


class UnknownTenantError(QuinceError):
    """A tenant nobody registered."""

    code: ClassVar[str] = "unknown_tenant"
