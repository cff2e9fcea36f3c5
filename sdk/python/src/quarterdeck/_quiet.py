"""What keeps failures of telemetry away from the program that is observed."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("quarterdeck")


@contextmanager
def quietly(doing: str) -> Iterator[None]:
    """Tells the log what failed, and goes on behind the block."""
    try:
        yield
    except Exception:
        log.warning("telemetry failed while %s", doing, exc_info=True)
