"""Log lines: of which session they are, as text and as JSON."""

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcstream import Image, Stream, logs, testing
from rtcstream.logs import JsonFormatter, SessionFilter, TextFormatter
from tests.pictures import scene
from tests.waiting import until


class Lines:
    """What is logged, as a handler of ours writes it."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.addFilter(SessionFilter())
        self.handler.setFormatter(formatter)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream.getvalue().splitlines())


@pytest.fixture(params=["text", "json"])
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    made = Lines(TextFormatter() if request.param == "text" else JsonFormatter())
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(made.handler)
    root.setLevel(logging.INFO)
    yield made
    root.removeHandler(made.handler)
    root.setLevel(before)


@pytest.fixture
def as_json() -> Iterator[Lines]:
    made = Lines(JsonFormatter())
    logger = logging.getLogger("a.b")
    logger.addHandler(made.handler)
    yield made
    logger.removeHandler(made.handler)


def test_a_json_line_has_all_parts(as_json: Lines) -> None:
    """A line is one JSON object with its time in UTC, level, logger, message and exception."""
    before = datetime.now(UTC)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("a.b").exception("it went %s", "wrong")
    [line] = as_json
    got = json.loads(line)
    assert got["time"].endswith("Z")
    assert abs((datetime.fromisoformat(got.pop("time")) - before).total_seconds()) < 5
    assert got.pop("exception").endswith("ValueError: two\nlines")
    assert got == {"level": "error", "logger": "a.b", "message": "it went wrong"}


@given(st.text(), st.text(min_size=6, alphabet=st.characters(min_codepoint=33, max_codepoint=126)))
def test_whatever_is_logged_is_one_line(text: str, session: str) -> None:
    """Any message of any session is one line that parses, with the message in it."""
    record = logging.LogRecord("a", logging.INFO, "", 0, "%s", (text,), None)
    with logs.about(session):
        SessionFilter().filter(record)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    got = json.loads(line)
    assert got["session"] == session[:6]
    assert got["message"] in (text, text.removeprefix(f"{session[:6]} "))


async def test_lines_of_a_session_begin_with_its_id(lines: Lines) -> None:
    """What is logged of a session, by us and by its function, names the session, once; other
    lines name none."""

    def chatty(image: Image) -> Image:
        logging.getLogger("mine").warning("in the function")
        raise RuntimeError("no")

    logging.getLogger("mine").warning("outside")
    async with testing.connect(Stream(chatty)) as peer:
        peer.send(scene(64, 48))
        await peer.message("log", level="error")
        assert peer.session is not None
        name = peer.session.id[:6]
    if isinstance(lines.handler.formatter, JsonFormatter):
        got = [json.loads(line) for line in lines]
        told = [(each.get("session"), each["message"]) for each in got]
        assert (None, "outside") in told
        assert (name, "begins: None") in told
        assert (name, "in the function") in told
        assert (name, "ends: the test peer left") in told
        assert any(each.get("exception") and each["session"] == name for each in got)
    else:
        told_lines = list(lines)
        assert "WARNING mine: outside" in told_lines
        assert f"INFO rtcstream.session: {name} begins: None" in told_lines
        assert f"WARNING mine: {name} in the function" in told_lines
        assert f"INFO rtcstream.session: {name} ends: the test peer left" in told_lines


async def test_threads_and_tasks_belong_to_who_makes_them() -> None:
    """A task and a thread made for a session log as of it, after that block too; the caller does
    not."""
    seen: dict[str, Any] = {}

    def note(name: str) -> None:
        record = logging.LogRecord("a", logging.INFO, "", 0, "", (), None)
        SessionFilter().filter(record)
        seen[name] = record.session  # type: ignore[attr-defined]

    async def noting() -> None:
        note("task")

    with logs.about("abcdefghij"):
        task = asyncio.create_task(noting())
        thread = logs.thread(lambda: note("thread"), "a-name")
    plain = threading.Thread(target=note, args=("plain",))
    note("outside")
    await task
    for each in (thread, plain):
        each.start()
    await until(lambda: len(seen) == 4)
    assert seen == {"task": "abcdef", "thread": "abcdef", "plain": "", "outside": ""}
    assert thread.daemon and thread.name == "a-name"


async def test_the_command_line_logs_json(tmp_path: Path) -> None:
    """With --log-format json each line that the server writes to stderr is JSON."""
    program = tmp_path / "program.py"
    program.write_text(
        "from rtcstream import Image, Stream\n"
        "def same(image: Image) -> Image:\n    return image\n"
        "stream = Stream(same)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtcstream", str(program), "--port", "0"),
        *("--log-format", "json", "--log-level", "debug"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    await asyncio.wait_for(process.stdout.readline(), 20)
    process.terminate()
    told = (await asyncio.wait_for(process.stderr.read(), 10)).decode().splitlines()
    assert await process.wait() == 0
    assert told
    assert all({"time", "level", "logger", "message"} <= json.loads(line).keys() for line in told)
