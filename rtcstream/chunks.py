"""Encoded chunks to one gapless track: files cut anywhere, and files one after another."""

import io
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

import av
import numpy as np

from .annotations import SAMPLE_RATE
from .errors import ResultError
from .samples import Mixer, Stereo

LARGEST_FILE = 256 * 1024 * 1024
"""Bytes of one file that are held, where its index is at its end."""

HEAD = 64 * 1024
"""Bytes of a file's beginning in which an MP3's length is looked for; its tags come before that."""

MAGIC = (b"ID3", b"RIFF", b"fLaC", b"\x1aE\xdf\xa3", b"FORM")


class Track(Protocol):
    """Where decoded media goes; every method may wait, and raise what ends the run."""

    @property
    def end(self) -> int:
        """The position, in samples, at which the next sound will play."""

    def play(self, sound: Stereo) -> int:
        """Append sound; returns its position."""

    def schedule(self, picture: av.VideoFrame, position: int) -> None:
        """Show a picture when the sound at ``position`` plays."""


@dataclass
class Piece:
    """One chunk as the generator yielded it: its number from 1, and its bytes or its path."""

    number: int
    content: Any


class ChunkPlayer:
    """Decodes what ``following`` gives, until it gives None, to a track.

    One demuxer, one decoder and one resampler serve all chunks of a file; a chunk that begins like
    a file begins a new one. What cannot be decoded is reported by the number of its chunk, and
    playing goes on with the next. ``on_reach`` is called with that number and a position when what
    is in a chunk is about to be given to the track there, and at the end with the last number.
    """

    def __init__(
        self,
        track: Track,
        on_error: Callable[[ResultError], None],
        kind: Literal["audio", "video"] = "video",
        on_reach: Callable[[int, int], None] = lambda number, position: None,
    ) -> None:
        self._track = track
        self._on_error = on_error
        self._kind = kind
        self._on_reach = on_reach
        self._mixer = Mixer()
        self._number = 0
        self._pending: Piece | None = None

    def play(self, following: Callable[[], Any]) -> None:
        """Play all chunks. Raises what the generator or the track raises."""

        def take() -> Piece | None:
            if self._pending is not None:
                piece, self._pending = self._pending, None
                return piece
            while (content := following()) is not None:
                self._number += 1
                if isinstance(content, bytearray | memoryview):
                    content = bytes(content)
                if content != b"":
                    return Piece(self._number, content)
                self._on_error(ResultError(f"chunk {self._number} is empty"))
            return None

        while (piece := take()) is not None:
            if not isinstance(piece.content, bytes):
                self._play_file(piece.content, piece.number)
            else:
                source = _Source(piece, take, self._put_back)
                self._play_file(source, piece.number)
                source.skip()
        self._track.play(self._mixer.flush())
        self._on_reach(self._number, self._track.end)

    def _put_back(self, piece: Piece) -> None:
        self._pending = piece

    def _play_file(self, file: Any, number: int) -> None:
        source = file if isinstance(file, _Source) else None
        told = 0

        def chunk_at(offset: int | None) -> int:
            return source.number_at(offset) if source else number

        def on_reach(offset: int | None, position: int) -> None:
            self._on_reach(chunk_at(offset), position)

        def on_broken(offset: int | None, error: BaseException) -> None:
            """A packet that cannot be decoded, which ends nothing; told once for each chunk."""
            nonlocal told
            at = chunk_at(offset)
            if at != told:
                told = at
                what = f"a part of chunk {at} cannot be decoded: {_reason(error)}"
                self._on_error(ResultError(what))

        try:
            with av.open(file, mode="r") as container:
                player = _Player(
                    container, self._track, self._mixer, self._kind, on_reach, on_broken
                )
                if source is not None and container.format.name == "mp3":
                    player.length, player.padding = _mp3_length(source.head)
                player.play()
        except (av.FFmpegError, ValueError, IndexError) as error:
            if source is None or source.error is None:
                reached = source.number if source else number
                what = f"chunk {number}" if reached == number else f"chunks {number} to {reached}"
                self._on_error(ResultError(f"{what} cannot be decoded: {_reason(error)}"))
        if source is not None and source.error is not None:
            raise source.error


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)[:200]


class _Player:
    """Plays one open file."""

    def __init__(
        self,
        container: Any,
        track: Track,
        mixer: Mixer,
        kind: Literal["audio", "video"],
        on_reach: Callable[[int | None, int], None],
        on_broken: Callable[[int | None, BaseException], None],
    ) -> None:
        self._container = container
        self._track = track
        self._mixer = mixer
        self._kind = kind
        self._on_reach = on_reach
        self._on_broken = on_broken
        self._base = track.end
        self._start: float | None = None
        self._shown: float | None = None
        self._heard = False
        self._decoded = 0
        self.length, self.padding = 0, 0
        """Samples after which as many follow that are not meant."""

    def play(self) -> None:
        streams = self._container.streams
        audio = streams.audio[0] if streams.audio else None
        video = streams.video[0] if streams.video else None
        if self._kind == "audio" or (
            video is not None and video.disposition & av.stream.Disposition.attached_pic
        ):
            video = None  # the cover of an mp3
        chosen = [stream for stream in (audio, video) if stream is not None]
        if not chosen:
            what = "sound" if self._kind == "audio" else "sound and no video"
            raise ValueError(f"there is no {what} in it")
        if video is not None:
            starts = [s.start_time * s.time_base for s in chosen if s.start_time is not None]
            self._start = float(min(starts)) if starts else None
        for packet in self._container.demux(chosen):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self._on_broken(packet.pos, error)
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame):
                    self._play(frame, packet.pos)
                else:
                    self._show(frame, packet.pos, has_sound=audio is not None)
        if audio is None and video is not None and self._shown is not None:
            self._pass_until(self._shown + float(1 / (video.average_rate or 30)))

    def _play(self, frame: av.AudioFrame, offset: int | None) -> None:
        if not self._heard and self._start is not None and frame.time is not None:
            self._pass_until(frame.time)  # sound that begins after the pictures
        self._heard = True
        self._on_reach(offset, self._track.end)
        sound = self._mixer.frame(frame)
        if padding := self._padding_of(frame):
            sound = np.concatenate([sound, self._mixer.flush()])
            sound = sound[: -round(padding * SAMPLE_RATE / frame.sample_rate) or None]
        self._track.play(sound)

    def _padding_of(self, frame: av.AudioFrame) -> int:
        """How many samples of a file's last frames are there only to fill them."""
        self._decoded += frame.samples
        if frame.time_base == Fraction(1, frame.sample_rate) and 0 < frame.duration < frame.samples:
            return frame.samples - frame.duration  # the container says it
        padding = max(min(self._decoded - self.length, self.padding, frame.samples), 0)
        self.padding -= padding
        return padding

    def _pass_until(self, time: float) -> None:
        """Time is counted in samples, so where there is no sound, silence is played."""
        assert self._start is not None
        missing = self._base + round((time - self._start) * SAMPLE_RATE) - self._track.end
        if missing > 0:
            self._track.play(np.zeros((missing, 2), np.int16))

    def _show(self, frame: av.VideoFrame, offset: int | None, has_sound: bool) -> None:
        time = frame.time or 0.0
        if self._start is None:
            self._start = time
        if self._shown is not None and not -0.5 < time - self._shown < 10:
            # A file that begins like this one went on has been joined to it: its times are new.
            self._base, self._start = self._track.end, time
        self._shown = time
        if not has_sound:
            self._pass_until(time)
            self._on_reach(offset, self._track.end)
        position = max(round((time - self._start) * SAMPLE_RATE), 0)
        self._track.schedule(frame, self._base + position)


class _Source(io.RawIOBase):
    """The bytes of one file, pulled from the chunks as FFmpeg reads.

    What has been read is forgotten, except in an MP4 whose index is at its end: only there can
    FFmpeg seek, within what is held.
    """

    def __init__(
        self,
        first: Piece,
        take: Callable[[], Piece | None],
        put_back: Callable[[Piece], None],
    ) -> None:
        self.number = first.number
        self.error: BaseException | None = None
        self.head = b""
        self._take = take
        self._put_back = put_back
        self._held = bytearray(first.content)
        self._ends = deque([(len(first.content), first.number)], maxlen=10_000)
        """Where the latest chunks end, in bytes from the file's first, with their numbers."""
        self._dropped = 0
        self._position = 0
        self._ended = False
        self._seekable = self._index_is_last()

    def number_at(self, offset: int | None) -> int:
        """The number of the chunk that holds this byte of the file."""
        if offset is None or offset < 0:
            return self.number
        return next((number for end, number in self._ends if end > offset), self.number)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def read(self, size: int = -1) -> bytes:
        while not self._available() and not self._ended:
            self._pull()
        start = self._position - self._dropped
        data = bytes(self._held[start : start + size] if size >= 0 else self._held[start:])
        self._position += len(data)
        if len(self.head) < HEAD:
            self.head += data
        if not self._seekable:
            del self._held[: self._position - self._dropped]
            self._dropped = self._position
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END or offset > self._dropped + len(self._held):
            while not self._ended:
                self._pull()
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence, len(self._held))
        self._position = min(max(origin + offset, self._dropped), self._dropped + len(self._held))
        return self._position

    def tell(self) -> int:
        return self._position

    def skip(self) -> None:
        """Read on to the next file: what is left of this one cannot be played."""
        while not self._ended:
            self._held.clear()
            self._position = self._dropped = 0
            self._pull()

    def _available(self) -> int:
        return self._dropped + len(self._held) - self._position

    def _pull(self) -> None:
        try:
            piece = self._take()
        except BaseException as error:  # FFmpeg would turn it into an error of its own
            self.error = error
            self._ended = True
            raise
        if piece is None:
            self._ended = True
        elif not isinstance(piece.content, bytes) or _begins_file(piece.content):
            self._ended = True
            self._put_back(piece)
        else:
            self.number = piece.number
            self._held += piece.content
            self._ends.append((self._ends[-1][0] + len(piece.content), piece.number))
            if len(self._held) > LARGEST_FILE:
                self._ended = True

    def _index_is_last(self) -> bool:
        """Whether this is an MP4 whose ``mdat`` comes before its ``moov`` (ISO 14496-12)."""
        while len(self._held) < 8 and not self._ended:
            self._pull()
        if self._held[4:8] != b"ftyp":
            return False
        offset = 0
        while True:
            while len(self._held) < offset + 8 and not self._ended:
                self._pull()
            size = int.from_bytes(self._held[offset : offset + 4])
            kind = bytes(self._held[offset + 4 : offset + 8])
            if kind in (b"moov", b"mdat") or size < 8:
                return kind == b"mdat"
            offset += size


def _begins_file(content: bytes) -> bool:
    if content.startswith(b"OggS"):  # each page does; one in six tells the first (RFC 3533)
        return bool(content[5:6]) and bool(content[5] & 2)
    if content.startswith(b"\xff"):  # an mp3 whose first frame says how long it is
        return b"Xing" in content[:48] or b"Info" in content[:48]
    return content[4:8] == b"ftyp" or content.startswith(MAGIC)


INFO = re.compile(rb"\xff([\xe0-\xff])..\0{9}(?:\0{8}|\0{23})?(?:Xing|Info)(.{4})(.{4})", re.DOTALL)


def _mp3_length(head: bytes) -> tuple[int, int]:
    """The samples that an MP3 is to have, and how many follow that only fill its last frames.

    Its first frame may say so, in LAME's extension of Xing's header; FFmpeg follows that only where
    it can seek. Its decoder is 529 samples late, which it takes from the beginning.
    """
    found = INFO.search(head)
    if found is None or not found[2][3] & 1:
        return 0, 0
    flags, frames = found[2][3], int.from_bytes(found[3])
    lame = found.end() + 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8)
    gaps = int.from_bytes(head[lame + 21 : lame + 24])  # twelve bits each
    before, after = gaps >> 12, gaps & 0xFFF
    length = frames * (1152 if found[1][0] & 8 else 576) - before - after
    return (length, after - 529) if gaps and length > 0 and after > 529 else (0, 0)
