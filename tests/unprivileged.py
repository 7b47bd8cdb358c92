"""A place where permissions hold. They do not for root, as which containers run tests."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
ROOT = Path(__file__).parents[1]


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A new folder, and for as long as it is there a process that is not root."""
    with tempfile.TemporaryDirectory() as name:
        root = os.geteuid() == 0
        if root:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            if not os.access(ROOT / "neuralbridge" / "__init__.py", os.R_OK, effective_ids=True):
                pytest.skip("these tests run as root in a folder that only root may read")
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)
