"""Your voice, higher or lower, while you speak. Wear headphones."""

from typing import Annotated, Any

import numpy as np

from rtcstream import Channels, Label, Range, Samples, Stream

GRAIN = 2400  # 50 ms at 48 kHz


class VoiceChanger:
    """Your voice, higher or lower, while you speak. Wear headphones."""

    def __init__(self) -> None:
        self.past: Any = np.zeros(2 * GRAIN)
        self.position = 0.0

    def __call__(
        self,
        samples: Annotated[Samples, Channels(1)],
        semitones: Annotated[int, Range(-12, 12), Label("Pitch, semitones")] = 5,
        robot: bool = False,
    ) -> Samples:
        voice: Samples = samples[0]
        heard = np.concatenate([self.past, voice])
        self.past = heard[-2 * GRAIN :]
        if robot:
            voice = voice * np.sin(
                2 * np.pi * 70 * (self.position + np.arange(len(voice))) / 48_000
            )
            self.position = (self.position + len(voice)) % 48_000
            return voice
        # Two readers move over the last 50 ms at another speed, half a grain apart, and each is
        # faded out where it jumps back.
        speed = 2 ** (semitones / 12) - 1
        sweep = (self.position + np.arange(len(voice)) * -speed / GRAIN) % 1
        self.position = (self.position - len(voice) * speed / GRAIN) % 1
        shifted: Samples = np.zeros(len(voice))
        for offset in (0.0, 0.5):
            delay = (sweep + offset) % 1
            at = 2 * GRAIN + np.arange(len(voice)) - delay * GRAIN
            shifted += np.interp(at, np.arange(len(heard)), heard) * np.sin(np.pi * delay) ** 2
        return shifted


stream = Stream(VoiceChanger, title="Voice changer")

if __name__ == "__main__":
    stream.run()
