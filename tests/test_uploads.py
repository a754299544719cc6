"""Files that visitors upload: to the function, bounded, and deleted when they leave."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import pytest

from rtcstream import ControlError, File, Image, MaxSize, SignatureError, Stream, testing
from rtcstream.transport.ice import IceOptions
from rtcstream.types import Peer
from rtcstream.uploads import Full, Quota, TooLarge, Uploads, plain_name
from tests.conftest import Serve
from tests.footage import application
from tests.pictures import plain
from tests.test_endings import offering
from tests.waiting import until

PICTURE = plain((90,) * 3, 64, 48)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def sizes(
    image: Image, clip: Annotated[File | None, MaxSize(1000)] = None
) -> tuple[Image, dict[str, Any]]:
    if clip is None:
        return image, {}
    return image, {"name": clip.name, "size": len(clip.path.read_bytes()), "path": str(clip.path)}


def folder_of(path: Path) -> list[Path]:
    return list(path.parent.iterdir())


async def test_of_a_session() -> None:
    """A file that is there is in the very next call, its page is told, and it is gone with the
    session; null takes it away again."""
    sessions = Stream(sizes).sessions()
    async with testing.connect(sessions) as peer:
        await peer.apply(PICTURE)
        assert await peer.result() == {}
        assert peer.session is not None
        value = await sessions.upload(
            peer.session.id, "clip", "a/b/My clip.MP4", None, chunks(b"123", b"45")
        )
        assert value == {"name": "My clip.MP4", "size": 5}
        await until(lambda: peer.values["clip"] == value)
        await peer.apply(PICTURE)
        found = await peer.result()
        assert (found["name"], found["size"]) == ("My clip.MP4", 5)
        path = Path(found["path"])
        assert path.suffix == ".mp4" and path in folder_of(path)
        await peer.set(clip=None)
        await peer.apply(PICTURE)
        assert await peer.result() == {}
        with pytest.raises(ControlError, match="uploaded by PUT"):
            await peer.set(clip={"name": "x", "size": 1})
    await until(lambda: not path.parent.exists())


async def test_over_http(serve: Serve) -> None:
    """A PUT below the session's URL, named by its last segment; too large, unknown and wrong ones
    are refused in words, and so is who has never connected."""
    sessions = Stream(sizes).sessions()
    async with (
        serve(application(sessions, sessions)) as url,
        aiohttp.ClientSession() as client,
        testing.connect(sessions) as peer,
        offering() as (_, offer),
    ):
        assert peer.session is not None
        ghost, _ = await sessions.connect(offer, {}, Peer(None, {}), IceOptions())
        for where, data, status in [
            (f"{peer.session.id}/file/clip/caf%C3%A9%2Fx.bin", b"x" * 1000, 201),
            (f"{peer.session.id}/file/clip/x", b"x" * 1001, 413),
            (f"{peer.session.id}/file/clip/x", endless(), 413),
            (f"{peer.session.id}/file/other/x", b"x", 404),
            (f"{ghost.id}/file/clip/x", b"x", 409),
            ("unknown/file/clip/x", b"x", 404),
        ]:
            async with client.put(f"{url}session/{where}", data=data) as answer:
                assert answer.status == status
                body = await answer.json()
                assert body == {"name": "x.bin", "size": 1000} if status == 201 else body["detail"]


async def endless() -> AsyncIterator[bytes]:
    for _ in range(40):
        yield b"x" * 100


async def test_files_are_bounded_and_go(tmp_path: Path) -> None:
    """Two of a control are kept, one that is too large leaves nothing, and the end deletes all."""
    uploads = Uploads()
    files = [await uploads.take("a", "x.txt", chunks(b"one"), 10) for _ in range(3)]
    assert [file.path.exists() for file in files] == [False, True, True]
    folder = files[0].path.parent
    with pytest.raises(TooLarge):
        await uploads.take("a", "x", chunks(b"12345", b"67890", b"1"), 10)

    async def broken() -> AsyncIterator[bytes]:
        yield b"1"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await uploads.take("a", "x", broken(), 10)
    assert len(list(folder.iterdir())) == 2
    going = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"1"
        await going.wait()
        yield b"2"

    late = asyncio.create_task(uploads.take("a", "x", slow(), 10))
    await until(lambda: len(list(folder.iterdir())) == 3)
    await uploads.close()
    going.set()
    with pytest.raises(FileNotFoundError):
        await late
    assert not folder.exists()
    with pytest.raises(FileNotFoundError):
        await uploads.take("a", "x", chunks(b"1"), 10)


async def test_the_end_stops_what_still_comes() -> None:
    """Of a session that has ended not one more piece is written, and nothing of it is left."""
    quota = Quota(100)
    uploads = Uploads(quota)
    read = 0

    async def slow() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10):
            read += 1
            yield b"1"
            if read == 3:
                await uploads.close()

    with pytest.raises(FileNotFoundError):
        await uploads.take("a", "x", slow(), 1000)
    assert read == 4 and quota.taken == 0


async def test_all_files_together_are_bounded() -> None:
    """What all sessions have uploaded counts, until it is deleted; one that is moved away too."""
    quota = Quota(10)
    one, two = Uploads(quota), Uploads(quota)
    first = await one.take("a", "x", chunks(b"123456"), 10)
    with pytest.raises(Full):
        await two.take("a", "x", chunks(b"123", b"45"), 10)
    assert quota.taken == 6
    first.path.unlink()
    await one.take("a", "y", chunks(b"12"), 10)
    await one.take("a", "z", chunks(b"1"), 10)
    assert quota.taken == 3
    await two.take("a", "x", chunks(b"1234567"), 10)
    await one.close()
    await two.close()
    await two.close()
    assert quota.taken == 0


async def test_of_a_shared_run() -> None:
    """A file that is everybody's outlives who uploaded it."""

    def reading(clip: File | None = None) -> Iterator[str]:
        yield clip.path.read_text() if clip else "none"

    sessions = Stream(reading, shared=True).sessions()
    async with testing.connect(sessions) as stays:
        async with testing.connect(sessions) as leaves:
            assert leaves.session is not None
            await sessions.upload(leaves.session.id, "clip", "x.txt", None, chunks(b"words"))
        await until(lambda: len(sessions) == 1)
        stays.send_text('{"type":"run"}')
        while await stays.result() != "words":
            pass


async def test_a_generator_begins_anew() -> None:
    """A file restarts what plays, as any control does."""

    def reading(clip: File | None = None) -> Iterator[str]:
        yield clip.name if clip else "none"

    sessions = Stream(reading).sessions()
    async with testing.connect(sessions) as peer:
        assert peer.session is not None
        assert await peer.result() == "none"
        await sessions.upload(peer.session.id, "clip", "one", None, chunks(b"1"))
        assert await peer.result() == "one"


def test_names() -> None:
    """What a visitor calls a file is shown, and never a path."""
    assert plain_name("../../etc/passwd") == "passwd"
    assert plain_name("C:\\clips\\a.mp4") == "a.mp4"
    assert plain_name("a\x00\nb\u202e.mp4") == "ab.mp4"
    assert plain_name("") == plain_name("/") == "file"
    assert (
        len(plain_name("x" * 500 + ".mp4")) == 120 and plain_name("x" * 500 + ".mp4")[-4:] == ".mp4"
    )


@pytest.mark.parametrize(
    ("hint", "default", "words"),
    [
        (File, None, "write `File \\| None = None`"),
        (File | None, "x", "null, or uploaded by PUT"),
        (Annotated[int, MaxSize(3)], 1, "goes with `File \\| None` only"),
    ],
)
def test_wrong_signatures(hint: Any, default: Any, words: str) -> None:
    """A file that could not be there at first, or bounds of what is none, are told of."""

    def wrong(image: Image, clip: Any = default) -> Image:
        return image

    wrong.__annotations__["clip"] = hint
    with pytest.raises(SignatureError, match=words):
        Stream(wrong)


def test_description() -> None:
    """The page learns that it is a file, and how large it may be."""
    [control] = Stream(sizes).describe()["controls"]
    assert (control["type"], control["default"], control["maximum"]) == ("file", None, 1000)
