"""The probe itself: it must be able to fail."""

import pytest

from tests.attacks.probe import serves
from tests.conftest import Serve, Served
from tests.fakes import FakeRunner


async def test_a_server_that_nobody_attacks_serves(served: Served) -> None:
    await serves(served)


async def test_a_server_that_answers_nobody_does_not(serve: Serve) -> None:
    served = await serve(FakeRunner())
    served.runner.hold()
    with pytest.raises(TimeoutError):
        await serves(served, seconds=0.5)
