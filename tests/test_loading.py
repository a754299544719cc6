"""The command line: what a name stands for, and one clear line for what cannot be served."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import pytest
from aiohttp import web

from rtcstream import CommandError, Stream, __main__
from rtcstream.gallery import Gallery
from rtcstream.limits import Limits
from rtcstream.loading import EXAMPLES, example_names, load, sentence
from rtcstream.server import ServeOptions, ServerOptions

STREAM = "from rtcstream import Image, Stream\ndef f(image: Image) -> Image:\n    return image\n"
ONE = STREAM + "mine = Stream(f)\n"
WEB = "from aiohttp import web\napp = web.Application()\n"


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture(autouse=True)
def workplace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_imports: None
) -> Iterator[None]:
    """An empty folder to work in; what loading changes in the interpreter is undone."""
    monkeypatch.chdir(tmp_path)
    levels = {name: logging.getLogger(name).level for name in ("aioice", "aiortc")}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process."""

    def run(*arguments: str) -> Ran:
        status = __main__.main(arguments)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ServerOptions]]:
    """What the command line would serve, and how, instead of serving it."""
    calls: list[tuple[Any, ServerOptions]] = []

    def serve(what: Any, **options: Unpack[ServeOptions]) -> None:
        calls.append((what, ServerOptions(**options)))

    monkeypatch.setattr(__main__, "serve", serve)
    return calls


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


# What a name stands for


@pytest.mark.parametrize(
    ("files", "target", "name", "served"),
    [
        ({"app.py": ONE}, "app.py", "app", "mine"),
        ({"app.py": ONE}, "app.py:mine", "app", "mine"),
        ({"app.py": ONE}, "./app.py", "app", "mine"),
        ({"app.py": ONE + "other = mine\n"}, "app.py", "app", "mine"),
        ({"app.py": ONE + "stream = Stream(f)\n"}, "app.py", "app", "stream"),
        ({"app.py": ONE + "stream = Stream(f)\n"}, "app.py:mine", "app", "mine"),
        ({"app.py": ONE + WEB}, "app.py", "app", "app"),
        ({"my/tool.py": ONE}, "my/tool.py", "tool", "mine"),
        ({"my/a.py": "from b import *", "my/b.py": ONE}, "my/a.py", "a", "mine"),
        ({"my/tool.py": ONE}, "my.tool", "tool", "mine"),
        ({"my/tool.py": ONE}, "my.tool:mine", "tool", "mine"),
        ({"tool.py": ONE}, "tool:mine", "tool", "mine"),
        ({"cv2.py": "import cv2\ncv2.flip\n" + ONE}, "cv2.py", "cv2", "mine"),
        ({"app.py": "from __future__ import annotations\n" + ONE}, "app.py", "app", "mine"),
    ],
)
def test_a_program_of_ones_own(files: dict[str, str], target: str, name: str, served: str) -> None:
    """A file or a module is served by its only stream, by `stream` or `app`, or as it is told."""
    for path, text in files.items():
        write(path, text)
    found = load(target)
    assert found.name == name
    [module] = [m for m in list(sys.modules.values()) if vars(m).get(served) is found.target][:1]
    assert vars(module)[served] is found.target
    assert isinstance(found.app(), web.Application)


@pytest.mark.parametrize("name", example_names())
def test_an_example(name: str) -> None:
    """Each example is loaded by its name, and has a sentence for the gallery."""
    found = load(name)
    assert found.name == name
    assert isinstance(found.target, Stream | web.Application)
    said = sentence(name)
    assert said.endswith(".") and "\n" not in said


def test_the_examples_are_all_there() -> None:
    """The names are the files of the folder, but for those that begin with an underscore."""
    assert {"loopback", "motion", "mounted", "privacy", "webcam_filter"} <= set(example_names())
    assert all((EXAMPLES / f"{name}.py").is_file() for name in example_names())
    assert not [name for name in example_names() if name.startswith("_")]


# What cannot be served


@pytest.mark.parametrize(
    ("text", "target", "line"),
    [
        ("", "nosuch.py", "there is no file 'nosuch.py'"),
        ("", "app.py", "app.py has nothing to serve; write in it, for example, `stream = S"),
        (ONE + "b = Stream(f)", "app.py", "has several streams; name one of app.py:mine, app.py:b"),
        (
            ONE,
            "app.py:x",
            "app.py:x must be a Stream or an aiohttp web.Application, but is missing",
        ),
        (
            ONE,
            "app.py:f",
            "must be a Stream or an aiohttp web.Application, but is of type function",
        ),
        (
            "1 / 0",
            "app.py",
            "app.py fails when it is imported: ZeroDivisionError: division by zero",
        ),
        ("\n1 / 0", "app.py", "division by zero (HERE, line 2)"),
        ("import nosuch", "app.py", "ModuleNotFoundError: No module named 'nosuch' (HERE, line 1)"),
        ("def f(:", "app.py", "app.py cannot be read: invalid syntax (HERE, line 1)"),
        ("\n  x = 1", "app.py", "app.py cannot be read: unexpected indent (HERE, line 2)"),
        (STREAM + "Stream(f, max_fps=0)", "app.py", "ValueError: max_fps must be above zero"),
        ("import rtcstream as r\nr.Stream(lambda: 0)", "app.py", "app.py: <lambda>(): it takes no"),
        ("raise OSError('no\\n  model')", "app.py", "OSError: no model (HERE, line 1)"),
        ("import nosuch", "app:stream", "app fails when it is imported: ModuleNotFoundError: No "),
        (ONE, "app:x", "app:x must be a Stream or an aiohttp web.Application, but is missing"),
        (STREAM + "Stream(f).run(port=0)", "app.py", "the program serves already while it is load"),
        ("", "app", "there is no example 'app'; for the program of yours write app.py"),
        ("", ".", "'.' is a folder; name a program, one of those in it: app.py. Without any name"),
        ("", "..", "'..' is a folder; name a program, such as app.py"),
        ("", "nosuch.module", "there is no module 'nosuch.module'"),
        ("", "nosuch:stream", "there is no module 'nosuch'"),
        ("", "app.nosuch:stream", "there is no module 'app.nosuch'"),
    ],
)
def test_what_cannot_be_loaded(command: Command, text: str, target: str, line: str) -> None:
    """What is wrong with a program is one line that says where, and the exit status is 1."""
    write("app.py", text)
    ran = command(target, "--port", "0")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("rtcstream: ") and ran.err.count("\n") == 1
    assert line.replace("HERE", str(Path("app.py").resolve())) in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("webcam-filtr", "webcam_filter"), ("Motion", "motion"), ("loop", "loopback")),
        *(("", ""), ("xyz", "")),
    ],
)
def test_an_unknown_name(command: Command, name: str, meant: str) -> None:
    """An unknown name is told the nearest, if there is one, and all that there are, by name."""
    ran = command(name)
    assert ran.status == 1
    what = f"did you mean {meant}? There are: " if meant else "there are: "
    listed = ", ".join(sorted(example_names()))
    assert ran.err.startswith(f"rtcstream: there is no example {name!r}; {what}{listed}. ")
    assert ran.err.endswith("A program of yours ends in .py\n")


def test_a_program_that_exits(command: Command) -> None:
    """A program may end by itself, after its own `--help` perhaps, with its own status."""
    write("app.py", "import argparse\nargparse.ArgumentParser().parse_args()\n" + ONE)
    with pytest.raises(SystemExit) as ended:
        command("app.py", "--", "--help")
    assert ended.value.code == 0


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--port", "70000"], "the port must be from 0 to 65535, not 70000"),
        (["--port", "-1"], "the port must be from 0 to 65535, not -1"),
        (["--ssl-cert", "here.pem"], "a certificate needs its key: give --ssl-cert and --ssl-k"),
        (["--ssl-cert", "a.pem", "--ssl-key", "app.py"], "there is no file 'a.pem'"),
        (["--ssl-cert", "app.py", "--ssl-key", "app.py"], "the certificate or its key cannot be"),
        (["--ice-server", "stun.example"], "'stun.example' is not an ICE server; write stun:"),
        (["--cors-origin", "example.com/x"], "example.com/x"),
        (["--host", "192.0.2.1"], "this machine has no address 192.0.2.1"),
    ],
)
def test_options_that_cannot_be(command: Command, options: list[str], line: str) -> None:
    """Options that do not go together, and addresses that are not ours, are one line as well."""
    write("app.py", ONE)
    ran = command("app.py", "--port", "0", *options)
    assert (ran.status, ran.out) == (1, "")
    assert line in ran.err and ran.err.count("\n") == 1


def test_a_port_in_use(command: Command) -> None:
    """A port that another program has is named, with what to do."""
    write("app.py", ONE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = command("app.py", "--port", str(port))
    assert ran == Ran(
        1,
        "",
        f"rtcstream: port {port} is in use on 127.0.0.1; "
        "choose another: --port, or run(port=...)\n",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "many"], "argument --port: invalid int value: 'many'"),
        (["--log-level", "loud"], "invalid choice: 'loud'"),
        (["loopback", "motion"], "unrecognized arguments: motion"),
        (["--hos", "x"], "unrecognized arguments: --hos; did you mean --host?"),
        (["--udp-prot=9"], "unrecognized arguments: --udp-prot=9; did you mean --udp-port?"),
        (["app.py", "--model", "x"], "program's own follows --: app.py -- --model x\n"),
    ],
)
def test_what_is_no_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """Options that do not exist are answered with the usage, and exit status 2."""
    with pytest.raises(SystemExit) as ended:
        __main__.main(arguments)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("usage: python -m rtcstream") and sentence in err


# What is served, and how


@pytest.mark.parametrize(
    ("given", "argv"),
    [
        ([], ["app.py"]),
        (["--"], ["app.py"]),
        (["--", "--model", "tiny"], ["app.py", "--model", "tiny"]),
        (["--port", "0", "--", "--port", "1", "--", "x"], ["app.py", "--port", "1", "--", "x"]),
    ],
)
def test_arguments_of_the_program(
    command: Command, served: list[tuple[Any, ServerOptions]], given: list[str], argv: list[str]
) -> None:
    """What follows `--` reaches the program as its `sys.argv`, while it is imported already."""
    write("app.py", "import sys\nseen = [*sys.argv]\n" + ONE)
    assert command("app.py", *given) == Ran(0, "", "")
    assert sys.modules["app"].__dict__["seen"] == argv
    [(what, options)] = served
    assert what.name == "app"
    assert options.port == (0 if "--port" in given[:1] else 8080)


def test_the_options_of_the_server(
    command: Command, served: list[tuple[Any, ServerOptions]]
) -> None:
    """Each option of the command line is the server's."""
    command(
        *("loopback", "--host", "0.0.0.0", "--port", "9000", "--https"),
        *("--ssl-cert", "c.pem", "--ssl-key", "k.pem"),
        *("--ice-server", "stun:a.example", "--ice-server", "turn:u:p@b.example"),
        *("--cors-origin", "*", "--cors-origin", "https://c.example"),
        *("--turn-secret", "north", "--trusted-proxy", "10.0.0.0/8"),
        *("--token", "correct-horse", "--limit", "posts=3", "--limit", "half-open=9"),
    )
    [(_, options)] = served
    assert options == ServerOptions(
        host="0.0.0.0",
        port=9000,
        https=True,
        ssl_cert="c.pem",
        ssl_key="k.pem",
        ice_servers=["stun:a.example", "turn:u:p@b.example"],
        cors_origins=["*", "https://c.example"],
        turn_secret="north",
        public_ips=[],
        trusted_proxies=["10.0.0.0/8"],
        auth=["correct-horse"],
        limits=Limits(posts=3.0, half_open=9),
    )


def test_secrets_in_the_environment(
    command: Command, served: list[tuple[Any, ServerOptions]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other users of the machine should not see in the list of processes may stand there."""
    monkeypatch.setenv("RTCSTREAM_TOKEN", "correct-horse battery-staple")
    monkeypatch.setenv("RTCSTREAM_TURN_SECRET", "north")
    monkeypatch.setenv("RTCSTREAM_KEY", "k" * 32)
    command("loopback")
    [(_, options)] = served
    assert options.auth == ["correct-horse", "battery-staple"]
    assert (options.turn_secret, options.auth_key) == ("north", "k" * 32)


def test_limit_that_is_none(command: Command) -> None:
    """A limit that is unknown is one line, which says what there is."""
    ran = command("loopback", "--limit", "post=3")
    assert ran.status == 1
    assert "there is no limit 'post'" in ran.err


def test_the_gallery(command: Command, served: list[tuple[Any, ServerOptions]]) -> None:
    """Without a name the gallery of all examples is served, on this machine alone."""
    command()
    [(what, options)] = served
    assert isinstance(what, Gallery)
    assert (options.host, options.port, options.secure) == ("127.0.0.1", 8080, False)


def test_the_list(command: Command) -> None:
    """`--list` names each example with its sentence, a line each."""
    ran = command("--list")
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines] == example_names()
    assert all(line.endswith(".") and len(line) > 30 for line in lines)


def test_the_list_cut_short() -> None:
    """A reader of the list that has seen enough, as `| head` has, ends it without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as out:
        program = [sys.executable, "-m", "rtcstream", "--list"]
        package = str(Path(__main__.__file__).parent.parent)
        ran = subprocess.run(
            program, stdout=out, stderr=subprocess.PIPE, timeout=30, env={"PYTHONPATH": package}
        )
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_ctrl_c(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a program is still being loaded ends it without a traceback."""
    write("app.py", "raise KeyboardInterrupt\n")
    assert command("app.py") == Ran(130, "", "")


def test_as_a_command() -> None:
    """`python -m rtcstream` exits with the status, and says its line on the error stream alone."""
    program = [sys.executable, "-m", "rtcstream", "nosuch.py"]
    environment = {"PYTHONPATH": str(Path(__main__.__file__).parent.parent), "PATH": ""}
    ran = subprocess.run(program, capture_output=True, text=True, timeout=30, env=environment)
    assert Ran(ran.returncode, ran.stdout, ran.stderr) == Ran(
        1, "", "rtcstream: there is no file 'nosuch.py'\n"
    )


def test_loading_raises_what_a_caller_can_catch() -> None:
    """In a program of one's own, the line is a CommandError."""
    with pytest.raises(CommandError, match=r"there is no file 'nosuch\.py'"):
        load("nosuch.py")
