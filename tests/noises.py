"""What a microphone hears in a room, besides speech: made here, not recorded."""

import numpy as np
from numpy.typing import NDArray

from tests.hearing import RATE, Mono

Sound = NDArray[np.float64]


def times(seconds: float) -> Sound:
    return np.arange(round(seconds * RATE)) / RATE


def hiss(seconds: float, low: float, high: float, seed: int = 0) -> Sound:
    """Noise between two frequencies, in Hz."""
    noise = np.random.default_rng(seed).normal(0, 1, round(seconds * RATE))
    spectrum, hz = np.fft.rfft(noise), np.fft.rfftfreq(len(noise), 1 / RATE)
    spectrum[(hz < low) | (hz > high)] = 0
    return np.fft.irfft(spectrum, len(noise))


def at_level(sound: Sound, decibels: float) -> Mono:
    """So loud, by its power where it sounds, in dB of full scale."""
    loud = sound[np.abs(sound) > 1e-4 * np.abs(sound).max()]
    return np.asarray(sound * 10 ** (decibels / 20) / np.sqrt(np.mean(loud**2)), np.float32)


def cough() -> Sound:
    """A burst, a hiss, and a little voice at the end."""
    t = times(0.3)
    burst = hiss(0.3, 150, 7000, 4) * np.exp(-t / 0.03)
    breath = 0.5 * hiss(0.3, 500, 5000, 5) * np.clip(t / 0.04, 0, 1) * np.exp(-t / 0.09)
    voice = sum(np.sin(2 * np.pi * k * (180 - 60 * t) * t) / k for k in range(1, 12))
    fade = np.clip((t - 0.12) / 0.02, 0, 1) * np.exp(-np.clip(t - 0.14, 0, 1) / 0.05)
    return np.asarray(burst + breath + 0.35 * voice * fade)


def claps() -> Sound:
    t = times(0.3)
    return np.concatenate([hiss(0.3, 800, 6000, n) * np.exp(-t / 0.015) for n in range(4)])


def door() -> Sound:
    t = times(0.6)
    thud, click = hiss(0.6, 40, 900, 5), hiss(0.6, 1000, 5000, 6)
    return np.asarray(thud * np.exp(-t / 0.1) + click * np.exp(-t / 0.01))


def keys() -> Sound:
    """Three seconds of typing."""
    whole, rng, begin, t = np.zeros(3 * RATE), np.random.default_rng(3), 0.05, times(0.04)
    while begin < 2.9:
        click = hiss(0.04, 1500, 9000, round(1000 * begin)) * np.exp(-t / 0.004)
        body = 0.4 * np.sin(2 * np.pi * 300 * t) * np.exp(-t / 0.01)
        whole[round(begin * RATE) :][: len(t)] += rng.uniform(0.5, 1) * (click + body)
        begin += rng.exponential(1 / 7) + 0.03
    return whole


def breath() -> Sound:
    return np.asarray(hiss(0.8, 300, 4000) * np.sin(np.pi * times(0.8) / 0.8) ** 2)


def fan() -> Sound:
    """Three seconds: pink noise that turns, and the hum of the mains."""
    t = times(3.0)
    spectrum = np.fft.rfft(hiss(3.0, 20, 16_000))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), len(t))
    turning = 1 + 0.1 * np.sin(2 * np.pi * 3 * t)
    return np.asarray(pink / pink.std() * turning + 0.2 * np.sin(2 * np.pi * 120 * t))


def music() -> Sound:
    """Four chords of a minor key, with a melody, a bass and drums."""
    t = times(0.75)
    chords = [(220, 261.6, 329.6), (174.6, 220, 261.6), (261.6, 329.6, 392), (196, 246.9, 293.7)]
    parts = []
    for number, tones in enumerate(chords):
        played = sum(np.sin(2 * np.pi * hz * k * t) / k**1.5 for hz in tones for k in range(1, 7))
        high = 2 * tones[(2 * number) % 3]
        melody = sum(np.sin(2 * np.pi * high * k * t) / k for k in range(1, 5))
        low = np.sin(np.pi * tones[0] * t)
        drum = hiss(0.75, 20, 16_000, number) * np.exp(-t / 0.02)
        parts.append((played + 0.6 * melody + low) * np.exp(-t / 0.5) + drum)
    return np.concatenate(parts)
