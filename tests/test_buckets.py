"""Token buckets, whom an address counts for, and the limits of a server."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcstream import Limits
from rtcstream.buckets import UNKNOWN, Bucket, Buckets, account


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_burst_and_then_the_rate() -> None:
    """A bucket gives its burst at once, then tells how long until the next, and gives that."""
    clock = Clock()
    bucket = Bucket(10, 3, clock)
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == pytest.approx(0.1)
    clock.now += 0.05
    assert bucket.take() == pytest.approx(0.05)
    clock.now += 0.0501
    assert bucket.take() == 0
    clock.now += 3600
    assert [bucket.take() > 0 for _ in range(4)] == [False, False, False, True]


@given(st.lists(st.floats(0, 1), max_size=100))
def test_never_more_than_the_rate(steps: list[float]) -> None:
    """However the asking is spread, a bucket gives no more than burst plus rate times time."""
    clock = Clock()
    bucket, given_away = Bucket(5, 2, clock), 0
    for step in steps:
        clock.now += step
        given_away += bucket.take() == 0
    assert given_away <= 2 + 5 * clock.now + 1e-6


def test_buckets_are_bounded() -> None:
    """A flood of names costs bounded memory, and who was heard last is remembered."""
    buckets = Buckets(1, 1, most=10, clock=Clock())
    for number in range(1000):
        buckets.take(f"ghost {number}")
        buckets.take("me")
    assert len(buckets) == 10
    assert buckets.wait("me") > 0
    assert buckets.wait("ghost 0") == 0


@pytest.mark.parametrize(
    ("address", "counts_for"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("nonsense", UNKNOWN),
    ],
)
def test_account(address: str | None, counts_for: str) -> None:
    """An IPv4 address counts for itself, an IPv6 one for its /64."""
    assert account(address) == counts_for


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_addresses_of_one_network_are_one(address: ipaddress.IPv6Address, other: int) -> None:
    """No choice of the lower 64 bits makes another visitor of one, but in ::ffff:0:0/96."""
    sibling = ipaddress.IPv6Address(int(address) >> 64 << 64 | other)
    if address.ipv4_mapped is None and sibling.ipv4_mapped is None:
        assert account(str(address)) == account(str(sibling))


@given(st.text())
def test_account_of_any_text(text: str) -> None:
    """Nothing that stands where an address should, raises."""
    assert account(text)


def test_limits_parse() -> None:
    """`NAME=NUMBER` texts change the limits that they name."""
    limits = Limits.parse(["posts=2.5", "half-open=7"])
    assert (limits.posts, limits.half_open, limits.sessions) == (2.5, 7, 100)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("post=1", "there is no limit 'post'; there are body, header"),
        ("sessions=0", "whole number from 1"),
        ("sessions=many", "whole number"),
        ("posts=nan", "a number from 0.1"),
        ("posts", "a number"),
    ],
)
def test_limits_refused(text: str, words: str) -> None:
    """A limit that is unknown, or out of its range, is refused with what is accepted."""
    with pytest.raises(ValueError, match=words):
        Limits.parse([text])
