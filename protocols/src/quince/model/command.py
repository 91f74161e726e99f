"""How every command of Quince ends: what an operator got wrong is one line, and exit code 2."""

import sys
from collections.abc import Callable

from quince.model.errors import QuinceError

REFUSED = 2  # as shells and argument parsers say "wrong usage"


def run_command(app: Callable[[], object]) -> None:
    """Run a command-line application; a QuinceError is said as `code: message` on stderr.

    So is what a file or a disk refuses: a traceback would show what the file holds.
    """
    try:
        app()
    except QuinceError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        sys.exit(REFUSED)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"system: {error}\n")
        sys.exit(REFUSED)
