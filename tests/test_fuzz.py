"""Mutated input of every kind: `python -m benchmarks.fuzz` does the same at length."""

import asyncio

import pytest

from benchmarks import fuzz
from rtcstream import session
from tests.fuzzing import Case, complaints

SEED = 20_261_124


async def test_texts_through_the_parsers() -> None:
    """12,000 mutated offers, fragments, candidates, queries and messages are read or refused."""
    with complaints() as log:
        fuzzing = fuzz.Fuzzing(log)
        await asyncio.to_thread(fuzzing.parse, SEED, 12_000)
    assert not fuzzing.failures, fuzzing.failures[0]


async def test_offers_through_negotiations() -> None:
    """400 mutated offers are answered, and end, or are refused: nothing stays or is logged."""
    with complaints() as log:
        fuzzing = fuzz.Fuzzing(log)
        await fuzzing.negotiate(SEED, 400)
    assert not fuzzing.failures, fuzzing.failures[0]


async def test_requests_to_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """250 mutated requests over HTTP: no 500, no hang, no session, task or descriptor left."""
    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 1.0)
    with complaints() as log:
        fuzzing = fuzz.Fuzzing(log)
        await fuzzing.ask(SEED, 250)
    assert not fuzzing.failures, fuzzing.failures[0]


async def test_peers_that_connect_with_mutated_offers() -> None:
    """Of 25 peers with mutated offers some are connected, and each session ends well."""
    with complaints() as log:
        fuzzing = fuzz.Fuzzing(log)
        told = await fuzzing.meet(SEED, 25)
    assert not fuzzing.failures, fuzzing.failures[0]
    assert "; 0 connected" not in told


async def test_packets_to_a_session() -> None:
    """After 1,500 mutated packets of RTP, RTCP, STUN and DTLS a session still answers its peer."""
    with complaints() as log:
        fuzzing = fuzz.Fuzzing(log)
        await fuzzing.pelt(SEED, 1500)
    assert not fuzzing.failures, fuzzing.failures[0]


def test_a_case_can_be_had_again() -> None:
    """A case is the same whenever it is made, and names the command that makes it."""
    case = Case("offer", SEED, 7)
    assert case.text() == Case("offer", SEED, 7).text() != Case("offer", SEED, 8).text()
    assert f"--seed {SEED} --case offer:7" in case.told(case.text(), "it failed")
