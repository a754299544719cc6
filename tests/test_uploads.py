"""Files that visitors upload: to the function, bounded, and deleted when they leave."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import pytest

from rtcstream import ControlError, File, Image, MaxSize, SignatureError, Stream, testing
from rtcstream.uploads import TooLarge, Uploads, plain_name
from tests.conftest import Serve
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
    are refused in words."""
    stream = Stream(sizes)
    async with serve(stream) as url, aiohttp.ClientSession() as client:
        location = await offered(client, url)
        for path, data, status in [
            ("file/clip/caf%C3%A9%2Fx.bin", b"x" * 1000, 201),
            ("file/clip/x", b"x" * 1001, 413),
            ("file/other/x", b"x", 404),
        ]:
            async with client.put(f"{location}/{path}", data=data) as answer:
                assert answer.status == status
                body = await answer.json()
                assert body == {"name": "x.bin", "size": 1000} if status == 201 else body["detail"]
        async with client.put(f"{location}/file/clip/x", data=endless()) as answer:
            assert answer.status == 413
        async with client.put(f"{url}session/unknown/file/clip/x", data=b"x") as answer:
            assert answer.status == 404
        async with client.delete(location) as answer:
            assert answer.status == 200


async def endless() -> AsyncIterator[bytes]:
    for _ in range(40):
        yield b"x" * 100


async def offered(client: aiohttp.ClientSession, url: str) -> str:
    """Where a session is that has been offered."""
    async with offering() as (_, offer):
        headers = {"Content-Type": "application/sdp"}
        async with client.post(url + "session", data=offer, headers=headers) as answer:
            assert answer.status == 201
            return url + answer.headers["Location"]


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
