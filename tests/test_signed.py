"""The pass in a cookie: read as it was written, and nothing else is one."""

from hypothesis import given
from hypothesis import strategies as st

from rtcstream import signed
from rtcstream.signed import Pass

KEY = b"k" * 32
IDENTITIES = st.text(min_size=1, max_size=60)


@given(IDENTITIES, st.integers(1, 2**40))
def test_round_trip(identity: str, expires: int) -> None:
    """A pass is read as it was signed, until the second when it expires."""
    granted = Pass(identity, expires, "serial")
    text = signed.sign(granted, KEY)
    assert signed.read(text, KEY, expires - 1) == granted
    assert signed.claimed_identity(text) == identity
    assert signed.read(text, KEY, expires) is None
    assert signed.read(text, b"j" * 32, expires - 1) is None


@given(IDENTITIES, st.data())
def test_no_change_survives(identity: str, data: st.DataObject) -> None:
    """A pass with any character changed, left out or put in is none."""
    text = signed.sign(Pass.new(identity, 2**40), KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii") | st.just(""))
    for changed in (text[:at] + other + text[at + 1 :], text[:at] + other + text[at:]):
        if changed != text:
            assert signed.read(changed, KEY, 0) is None


@given(st.text() | st.text("1.0aA-_=", max_size=40))
def test_any_text_is_no_pass(text: str) -> None:
    """Whatever a cookie holds, reading it raises nothing."""
    assert signed.read(text, KEY, 0) is None
    signed.claimed_identity(text)
