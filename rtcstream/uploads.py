"""Files that a session's visitor has uploaded: taken in, bounded, deleted at the end."""

import asyncio
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

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


class Full(Exception):
    """The server takes no more files for now."""


class Quota:
    """How many bytes of files there may be, of all sessions together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def take(self, size: int) -> None:
        """Count so many more. Raises Full."""
        if self.taken + size > self.most:
            raise Full
        self.taken += size

    def give(self, size: int) -> None:
        """They are gone."""
        self.taken -= size


class Uploads:
    """The files of one session, or shared run, in a folder of its own; belongs to the event loop.

    They count against ``quota`` until they are deleted.
    """

    def __init__(self, quota: Quota | None = None) -> None:
        self._quota = quota or Quota(sys.maxsize)
        self._folder: TemporaryDirectory[str] | None = None
        self._taken: dict[str, list[File]] = {}
        self._coming: set[str] = set()
        self._closed = False

    async def take(self, control: str, name: str, chunks: AsyncIterator[bytes], most: int) -> File:
        """Write what comes to a file. Raises UploadBusy, TooLarge, Full, OSError (no space;
        FileNotFoundError once it is closed), and what ``chunks`` does; nothing is left then."""
        if control in self._coming:
            raise UploadBusy
        self._coming.add(control)
        try:
            file = await self._write(plain_name(name), chunks, most)
        finally:
            self._coming.discard(control)
        taken = self._taken.setdefault(control, [])
        taken.append(file)
        if len(taken) > KEPT:
            oldest = taken.pop(0)
            self._quota.give(oldest.size)
            await asyncio.to_thread(oldest.path.unlink, missing_ok=True)
        return file

    async def _write(self, name: str, chunks: AsyncIterator[bytes], most: int) -> File:
        path = self._path(Path(name).suffix)
        file = await asyncio.to_thread(open, path, "xb", buffering=0)
        size = 0
        try:
            waiting = bytearray()
            async for chunk in chunks:
                self._check_open()
                if size + len(chunk) > most:
                    raise TooLarge
                self._quota.take(len(chunk))
                size += len(chunk)
                waiting += chunk
                if len(waiting) >= CHUNK:
                    await asyncio.to_thread(file.write, waiting)
                    waiting = bytearray()
            await asyncio.to_thread(file.write, waiting)
            self._check_open()
        except BaseException:
            self._quota.give(size)
            path.unlink(missing_ok=True)
            if self._closed:  # too late for who deleted the folder
                with suppress(OSError):
                    path.parent.rmdir()
            raise
        finally:
            file.close()
        return File(path, name, size)

    async def close(self) -> None:
        """Delete all of them."""
        if self._closed:
            return
        self._closed = True
        self._quota.give(sum(file.size for files in self._taken.values() for file in files))
        if self._folder is not None:
            await asyncio.to_thread(self._folder.cleanup)

    def _check_open(self) -> None:
        if self._closed:
            raise FileNotFoundError("the session has ended")

    def _path(self, suffix: str) -> Path:
        self._check_open()
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="rtcstream-", ignore_cleanup_errors=True)
        if not re.fullmatch(r"\.[A-Za-z0-9]{1,10}", suffix):  # by which libraries tell what it is
            suffix = ""
        return Path(self._folder.name, secrets.token_hex(8) + suffix.lower())


def plain_name(name: str) -> str:
    """A file's name to be shown: without folders and control characters, and not too long."""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(each for each in name if each.isprintable()).strip()
    stem, suffix = os.path.splitext(name)
    return (stem[: LONGEST_NAME - len(suffix[:20])] + suffix[:20]) or "file"
