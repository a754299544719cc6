"""A peer's microphone: sound at its pace, and a whistle to be taken for speech."""

import asyncio
from typing import Any

import numpy as np

from rtcstream.testing import TestPeer

RATE = 48_000
FRAME = 960


def whistle(seconds: float, loudness: float = 0.5, hz: float = 440.0) -> np.ndarray[Any, Any]:
    """A sine."""
    return np.asarray(loudness * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE))


async def speak(peer: TestPeer, samples: np.ndarray[Any, Any]) -> None:
    """Send sound at the pace of a microphone."""
    for start in range(0, len(samples), FRAME):
        peer.send_sound(samples[start : start + FRAME])
        await asyncio.sleep(FRAME / RATE * 0.9)
