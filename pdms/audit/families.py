"""What the verifier raises, as the error families of pdms: its one file knows none of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from pdms.audit.verifier import Broken, Malformed
from pdms.errors import IntegrityBroken, InvalidInput


@contextmanager
def in_families() -> Iterator[None]:
    """Raise InvalidInput for what a caller gave in the wrong form, IntegrityBroken for bytes that changed."""
    try:
        yield
    except Malformed as error:
        raise InvalidInput(error.message, code=error.code) from None
    except Broken as error:
        raise IntegrityBroken(error.message, code=error.code) from None
