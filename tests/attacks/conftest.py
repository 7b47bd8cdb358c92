"""What the attacks have in common: the log as `neuralbridge serve` writes it."""

import logging
from collections.abc import Callable, Iterator
from io import StringIO

import pytest

from neuralbridge.logs import prepared

Logged = Callable[[], str]


@pytest.fixture
def logged() -> Iterator[Logged]:
    """Everything that has been logged so far, in lines as they stand in the file."""
    written = StringIO()
    handler = prepared(logging.StreamHandler(written))
    root = logging.getLogger()
    level, _ = root.level, root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield written.getvalue
    root.setLevel(level)
    root.removeHandler(handler)
