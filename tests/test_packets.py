"""Frames to RTP payloads and back: by the RFCs, as aiortc reads them."""

import os

import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import VpxPayloadDescriptor, vp8_depayload
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcstream.transport.packets import MAX_PAYLOAD, h264_payloads, vp8_data, vp8_payloads

START = b"\0\0\0\1"
few = settings(max_examples=60, deadline=None)


def unit(kind: int, size: int) -> bytes:
    """A NAL unit without a start code inside, ending as one must: in a byte that is not zero."""
    return bytes((0x60 | kind,)) + os.urandom(size - 1).replace(b"\0", b"\1")


@few
@given(st.lists(st.tuples(st.sampled_from([1, 5, 6, 7, 8]), st.integers(2, 5000)), min_size=1))
def test_h264_comes_out_as_it_went_in(sizes: list[tuple[int, int]]) -> None:
    """Whatever the units of a frame, their packets give them back, and none is too long."""
    units = [unit(kind, size) for kind, size in sizes]
    payloads = h264_payloads(b"".join(START + each for each in units))
    assert b"".join(map(h264_depayload, payloads)) == b"".join(START + each for each in units)
    assert max(map(len, payloads)) <= MAX_PAYLOAD


def test_fragments_are_equal() -> None:
    """A large unit's packets have one length, but for the last, so that the kernel can cut them."""
    sizes = [len(payload) for payload in h264_payloads(START + unit(5, 10_000))]
    assert len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]


def test_parameter_sets_go_with_the_picture() -> None:
    """What is small shares a packet."""
    small = [unit(7, 20), unit(8, 5), unit(5, 500)]
    [payload] = h264_payloads(b"\0\0\1" + b"\0\0\1".join(small))
    assert payload[0] & 0x1F == 24


@few
@given(st.integers(1, 20_000), st.integers(0, 1 << 20))
def test_vp8_comes_out_as_it_went_in(size: int, number: int) -> None:
    """A VP8 frame's packets give it back, each of about one length, the first marked."""
    data = os.urandom(size)
    payloads = vp8_payloads(data, number)
    assert b"".join(map(vp8_depayload, payloads)) == data == b"".join(map(vp8_data, payloads))
    sizes = [len(payload) for payload in payloads]
    assert max(sizes) <= MAX_PAYLOAD
    assert len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0]
    starts = [VpxPayloadDescriptor.parse(payload)[0] for payload in payloads]
    assert [each.partition_start for each in starts] == [1] + [0] * (len(payloads) - 1)
    assert {each.picture_id for each in starts} == {number & 0x7FFF}


maybe = st.none() | st.integers(0, 255)


@few
@given(st.none() | st.integers(0, 0x7FFF), maybe, st.booleans(), st.none() | st.integers(0, 31))
def test_vp8_of_any_descriptor(
    number: int | None, temporal: int | None, layered: bool, key: int | None
) -> None:
    """Every form of the payload descriptor is skipped as long as it is."""
    described = VpxPayloadDescriptor(1, 0, number, temporal, (1, 1) if layered else None, key)
    assert vp8_data(bytes(described) + b"data") == b"data"


@pytest.mark.parametrize("payload", [b"\x90", b"\x90\x80", b"\x90\x80\x80", b"\x90\xf0\x80\1"])
def test_vp8_that_is_cut_short(payload: bytes) -> None:
    """A descriptor without its end is an error, not a picture."""
    with pytest.raises(ValueError, match="cut short"):
        vp8_data(payload)
