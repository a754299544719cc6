"""What you say, as text while you say it; recognised on the server, without any service.

It needs the ``speech`` extra: pip install 'rtcstream[speech]'
"""

from typing import Annotated, Any

from rtcstream import Block, Channels, LoadingFailed, Rate, Samples, Stream
from rtcstream.examples._models import extra


class Transcribe:
    """What you say, as text while you say it; recognised on the server, without any service."""

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder, Endpointer
        except ImportError:
            raise LoadingFailed(f"This example needs pocketsphinx: {extra('speech')}") from None
        self.said: list[str] = []
        self.decoder: Any = Decoder(samprate=16_000, loglevel="FATAL")
        self.endpointer: Any = Endpointer(sample_rate=16_000)
        self.waiting = b""

    def __call__(
        self, samples: Annotated[Samples, Block(seconds=0.1), Rate(16_000), Channels(1)]
    ) -> str | None:
        """All that was said so far, when there is more of it."""
        self.waiting += (samples[0] * 32_767).astype("<i2").tobytes()
        size, text = self.endpointer.frame_bytes, None
        while len(self.waiting) >= size:
            frame, self.waiting = self.waiting[:size], self.waiting[size:]
            text = self.hear(frame) or text
        return text

    def hear(self, frame: bytes) -> str | None:
        before = self.endpointer.in_speech
        speech = self.endpointer.process(frame)
        if speech is None:
            return None
        if not before:
            self.decoder.start_utt()
        self.decoder.process_raw(speech)
        heard = self.decoder.hyp().hypstr if self.decoder.hyp() else ""
        if not self.endpointer.in_speech:
            self.decoder.end_utt()
            heard = self.decoder.hyp().hypstr if self.decoder.hyp() else ""
            self.said = [*self.said[-20:], heard]
            heard = ""
        return " ".join([*self.said, heard]).strip() or None


stream = Stream(Transcribe)

if __name__ == "__main__":
    stream.run()
