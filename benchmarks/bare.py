"""The least that a filter costs: decode, convert, blur, convert, encode, in one loop and no more.

``python -m benchmarks.bare FILM BITRATE`` prints the processor time of a frame in ms, and kbit/s.
The parts are rtcstream's own; what its sessions spend beyond them is everything else.
"""

import sys
import time
from typing import Any

import av

from benchmarks.codecs import FPS, bitstream, encoding, film
from benchmarks.servers import instant
from rtcstream import media
from rtcstream.transport.decoder import FFMPEG_NAMES

FRAMES = 90
REPEATS = 10


def main(name: str, bitrate: int) -> None:
    browser = encoding("VP8", bitrate)
    pictures = enumerate(film(name, FRAMES))
    encoded = [bitstream("VP8", browser(p, at(number), number == 0)) for number, p in pictures]
    decoder: Any = av.CodecContext.create(FFMPEG_NAMES["VP8"], "r")
    decoder.thread_count = 1
    encode = encoding("VP8", bitrate)
    count = size = 0
    start = time.process_time()
    for _ in range(REPEATS):
        for data in filter(None, encoded):
            for frame in decoder.decode(av.Packet(data)):
                filtered = media.to_frame(instant(media.to_array(frame, "bgr24")), "bgr24")
                size += sum(map(len, encode(filtered, at(count), count == 0)))
                count += 1
    used = time.process_time() - start
    print(used / count * 1000, size * 8 / (count / FPS) / 1000)


def at(number: int) -> int:
    return number * 90_000 // FPS


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
