import pytest

from neuralbridge.access.rates import Rates, address_of, is_loopback
from neuralbridge.errors import RateLimited
from neuralbridge.sections import Limits


def test_what_is_too_often_is_refused_with_the_rate_and_the_time() -> None:
    rates = Rates(Limits(uploads="3/hour"))
    for _ in range(3):
        rates.count("uploads", "ana")
    with pytest.raises(RateLimited, match=r"3 uploads per hour are allowed; try again in \d+ s") as refused:
        rates.count("uploads", "ana")
    assert 0 < refused.value.retry_after_ms <= 2 * 3_600_000
    rates.count("uploads", "bob")
    rates.count("requests", "ana")


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("/run/socket", "/run/socket"),
    ],
)
def test_an_address_is_counted_by_whose_it_is(peer: str, address: str) -> None:
    assert address_of(peer) == address


@pytest.mark.parametrize(
    ("peer", "here"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("", True), ("10.0.0.1", False)],
)
def test_this_machine_is_known(peer: str, here: bool) -> None:
    assert is_loopback(peer) is here
