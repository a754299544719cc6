"""Files that a session's visitor has uploaded: taken in, bounded, deleted at the end."""

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from .types import File

CHUNK = 1 << 20
"""Bytes that are written at a time, beside the event loop."""
LONGEST_NAME = 120
KEPT = 2
"""Files of a control: the newest, and the one before it, which a call may be reading."""


class TooLarge(Exception):
    """More comes than a control takes."""


class UploadBusy(Exception):
    """A file for the same control is on its way."""


class Uploads:
    """The files of one session, in a folder of its own; belongs to the event loop."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None
        self._taken: dict[str, list[Path]] = {}
        self._closed = False

    async def take(self, control: str, name: str, chunks: AsyncIterator[bytes], most: int) -> File:
        """Write what comes to a file. Raises TooLarge, OSError (no space), and what ``chunks``
        does; nothing is left then."""
        name = plain_name(name)
        path = self._path(Path(name).suffix)
        size, ended = 0, False
        file = await asyncio.to_thread(open, path, "xb")
        try:
            waiting = bytearray()
            async for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise TooLarge
                waiting += chunk
                if len(waiting) >= CHUNK:
                    await _write(file, waiting)
                    waiting = bytearray()
            await _write(file, waiting)
            ended = not self._closed
        finally:
            file.close()
            if not ended:
                with suppress(FileNotFoundError):
                    path.unlink()
        if not ended:
            raise FileNotFoundError("the session ended before the file was there")
        taken = self._taken.setdefault(control, [])
        taken.append(path)
        if len(taken) > KEPT:
            await asyncio.to_thread(taken.pop(0).unlink)
        return File(path, name, size)

    async def close(self) -> None:
        """Delete all of them."""
        self._closed = True
        if self._folder is not None:
            await asyncio.to_thread(self._folder.cleanup)

    def _path(self, suffix: str) -> Path:
        if self._closed:
            raise FileNotFoundError("the session has ended")
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="rtcstream-", ignore_cleanup_errors=True)
        if not re.fullmatch(r"\.[A-Za-z0-9]{1,10}", suffix):  # by which libraries tell what it is
            suffix = ""
        return Path(self._folder.name, secrets.token_hex(8) + suffix.lower())


async def _write(file: BinaryIO, data: bytearray) -> None:
    if data:
        await asyncio.to_thread(file.write, data)


def plain_name(name: str) -> str:
    """A file's name to be shown: without folders and control characters, and not too long."""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(each for each in name if each.isprintable()).strip()
    stem, suffix = os.path.splitext(name)
    return (stem[: LONGEST_NAME - len(suffix[:20])] + suffix[:20]) or "file"
