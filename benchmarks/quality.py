"""How good pictures are at equal bitrate: rtcstream's encoders and aiortc's, no network."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.checks import Check, check
from benchmarks.codecs import (
    CODECS,
    FPS,
    Encode,
    aiortc_encoding,
    bitstream,
    decode,
    encoding,
    film,
)
from benchmarks.common import Figures, Plan, main, progress
from benchmarks.figures import spread
from benchmarks.measure import BenchmarkError
from rtcstream import media

FILMS = ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")
BITRATES = (400_000, 700_000, 1_000_000, 1_400_000)
"""bit/s asked for; what comes is measured. Within the bounds of aiortc's encoders."""
SETTLE = 30
"""Pictures that a rate control gets before any counts."""

PSNR, RATE, CPU = "PSNR, dB", "kbit/s", "encoding, ms"
GAIN = "PSNR at aiortc's bitrates, dB more"

ABOUT = "Measure the PSNR of films encoded by rtcstream and by aiortc as it comes."


@dataclass(frozen=True)
class Encoded:
    kilobits: float  # a second
    psnr: float
    milliseconds: float  # of processor time a frame


async def run(plan: Plan) -> tuple[Figures, list[Check]]:
    rows: Figures = {}
    checks = []
    count = round(plan.seconds * FPS) + SETTLE
    for codec in CODECS:
        gains = []
        curves: dict[str, list[Encoded]] = {"aiortc": [], "rtcstream": []}
        for name in FILMS:
            frames = film(name, count)
            progress(f"{codec}: {len(frames)} pictures of {name}")
            theirs = [encode(aiortc_encoding(codec, each), codec, frames) for each in BITRATES]
            ours = [encode(encoding(codec, each), codec, frames) for each in BITRATES]
            curves["aiortc"] += theirs
            curves["rtcstream"] += ours
            gains.append(gain(ours, theirs))
        for who, curve in curves.items():
            rows[f"{who}, {codec}"] = {
                PSNR: spread([each.psnr for each in curve]),
                RATE: spread([each.kilobits for each in curve]),
                CPU: spread([each.milliseconds for each in curve]),
            }
        rows[f"rtcstream, {codec}"][GAIN] = spread(gains)
        # Less is lost: a check is that something is at most so much.
        worse = -rows[f"rtcstream, {codec}"][GAIN]["median"]
        checks.append(check(f"{codec}: dB less than aiortc at its bitrates", worse, 0.0, "dB"))
    return rows, checks


def encode(encoder: Encode, codec: str, frames: list[av.VideoFrame]) -> Encoded:
    data = []
    start = time.process_time()
    for number, frame in enumerate(frames):
        payloads = encoder(frame, number * 90_000 // FPS, number == 0)
        data.append(bitstream(codec, payloads))
    used = time.process_time() - start
    seen = list(decode(codec, data))
    if len(seen) != len(frames):
        raise BenchmarkError(f"{codec}: {len(frames)} pictures in, {len(seen)} out")
    pairs = list(zip(frames, seen, strict=True))[SETTLE:]
    size = sum(map(len, data[SETTLE:]))
    return Encoded(
        kilobits=size * 8 / (len(pairs) / FPS) / 1000,
        psnr=float(np.mean([psnr(luma(a), luma(b)) for a, b in pairs])),
        milliseconds=used / len(frames) * 1000,
    )


def gain(ours: Sequence[Encoded], theirs: Sequence[Encoded]) -> float:
    """The mean of how much better ours is at each of their bitrates, between ours."""
    curve = sorted((np.log(each.kilobits), each.psnr) for each in ours)
    rates, levels = zip(*curve, strict=True)
    within = [each for each in theirs if rates[0] <= np.log(each.kilobits) <= rates[-1]]
    if not within:
        raise BenchmarkError("the encoders' bitrates do not meet")
    return float(
        np.mean([np.interp(np.log(each.kilobits), rates, levels) - each.psnr for each in within])
    )


def luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return media.planes(frame)[0]


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = np.mean((a.astype(np.float32) - b) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def start(arguments: Sequence[str] | None = None) -> int:
    return main(run, Plan(rounds=1, seconds=4.0, warmup=0.0), "quality", ABOUT, arguments)


if __name__ == "__main__":
    sys.exit(start())
