"""The command line: ``python -m rtcstream [NAME | app.py[:stream] | package.module:stream]``."""

import argparse
import difflib
import faulthandler
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from . import benching, loading, logs, reload
from .errors import CommandError
from .gallery import Gallery
from .limits import Limits
from .network import parse_range
from .overload import MAX_CPU, MAX_LAG
from .server import serve

EPILOG = """\
examples:
  python -m rtcstream                            the gallery of all examples
  python -m rtcstream webcam_filter              one of them
  python -m rtcstream app.py --reload            your own program, started again when you save it
  python -m rtcstream app.py --https --host 0.0.0.0   for phones on the same network
  python -m rtcstream bench app.py --sessions 8  how many sessions this machine holds
  python -m rtcstream app.py -- --model tiny     what follows -- reaches the program as sys.argv
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rtcstream",
        description="Serve a Python function on live camera, in any browser.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="NAME | app.py[:stream] | package.module:stream",
        help="an example's name, or a program of yours; without it, the gallery of examples",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=8080, help="port to listen on, 0 for any (%(default)s)"
    )
    parser.add_argument(
        "--https", action="store_true", help="use a self-signed certificate made on the spot"
    )
    parser.add_argument("--ssl-cert", metavar="FILE", help="certificate to use, with --ssl-key")
    parser.add_argument("--ssl-key", metavar="FILE", help="private key of the certificate")
    parser.add_argument(
        "--ice-server",
        action="append",
        default=[],
        metavar="URL",
        help="stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT; may be given more than once",
    )
    parser.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="another site whose pages may use the streams, or * for all; may be repeated",
    )
    udp = parser.add_mutually_exclusive_group()
    udp.add_argument("--udp-port", type=int, metavar="N", help="one UDP port for all media")
    udp.add_argument("--udp-ports", metavar="A-B", help="UDP ports for media; any free ones if not")
    parser.add_argument(
        "--public-ip",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="this server's address as others see it (NAT, Docker); may be repeated",
    )
    parser.add_argument(
        "--max-lag",
        type=float,
        default=MAX_LAG,
        metavar="SECONDS",
        help="turn new sessions away while the event loop is later than this; inf: never "
        "(%(default)s)",
    )
    parser.add_argument(
        "--max-cpu",
        type=float,
        default=MAX_CPU,
        metavar="SHARE",
        help="turn new sessions away while more of the machine's cores is used, 1: never "
        "(%(default)s)",
    )
    parser.add_argument(
        "--turn-secret",
        metavar="SECRET",
        help="shared with the TURN servers named without user and password (coturn: "
        "use-auth-secret); better as RTCSTREAM_TURN_SECRET in the environment",
    )
    parser.add_argument(
        "--token",
        action="append",
        default=[],
        metavar="TOKEN",
        help="let in only who has this; may be repeated. Better as RTCSTREAM_TOKEN in the "
        "environment, where other users of the machine do not see it",
    )
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="believe what the proxy at this address or network says of clients; may be repeated",
    )
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help=f"another bound than the default, of: {limits_in_words()}; may be repeated",
    )
    parser.add_argument(
        "--drain-timeout",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long sessions may go on after Ctrl-C or SIGTERM; a second one ends them at once "
        "(%(default)g)",
    )
    parser.add_argument(
        "--admin-token",
        metavar="TOKEN",
        help="opens the page at /admin; better given as RTCSTREAM_ADMIN_TOKEN in the environment, "
        "where other users of the machine do not see it",
    )
    parser.add_argument(
        "--reload", action="store_true", help="start again whenever a file of the program changes"
    )
    parser.add_argument(
        "--log-level",
        default="warning",
        choices=["debug", "info", "warning", "error"],
        help="how much to log (%(default)s)",
    )
    parser.add_argument(
        "--log-format",
        default="text",
        choices=["text", "json"],
        help="lines for people, or a JSON object each (%(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="list the examples and exit")
    return parser


def _instead(unknown: Sequence[str], options: argparse.Namespace) -> str:
    """What may have been meant by options that there are not."""
    option = unknown[0].partition("=")[0]
    if not option.startswith("--"):
        return ""
    known = [f"--{name.replace('_', '-')}" for name in vars(options) if name != "target"]
    if close := difflib.get_close_matches(option, known, 1):
        return f"; did you mean {close[0]}?"
    if options.target is None:
        return ""
    return f"; what is the program's own follows --: {options.target} -- {' '.join(unknown)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, or 1 after one line on stderr."""
    if arguments is None:
        # cv2.imshow without a display, among others, ends the whole process: say at which line.
        faulthandler.enable(all_threads=False)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["bench"]:
        return benching.main(given[1:])
    mine, program = _split(given)
    command = parser()
    options, unknown = command.parse_known_args(mine)
    if unknown:
        command.error(f"unrecognized arguments: {' '.join(unknown)}{_instead(unknown, options)}")
    logs.configure(getattr(logging, options.log_level.upper()), options.log_format)
    try:
        if options.list:
            _list()
            return 0
        if options.reload:
            mine.remove("--reload")
            if options.drain_timeout:  # who saves a file wants to see what it does, now
                mine += ["--drain-timeout", "0"]
            return reload.run(_watched(options.target), [*mine, "--", *program])
        sys.argv = [options.target or sys.argv[0], *program]
        serve(
            Gallery() if options.target is None else loading.load(options.target),
            host=options.host,
            port=options.port,
            https=options.https,
            ssl_cert=options.ssl_cert,
            ssl_key=options.ssl_key,
            ice_servers=options.ice_server,
            turn_secret=options.turn_secret or os.environ.get("RTCSTREAM_TURN_SECRET") or None,
            cors_origins=options.cors_origin,
            max_lag=options.max_lag,
            max_cpu=options.max_cpu,
            auth=[*options.token, *os.environ.get("RTCSTREAM_TOKEN", "").split()] or None,
            auth_key=os.environ.get("RTCSTREAM_KEY") or None,
            trusted_proxies=options.trusted_proxy,
            limits=_limits(options.limit),
            drain_timeout=options.drain_timeout,
            admin_token=options.admin_token,
            udp_port=options.udp_port,
            udp_ports=options.udp_ports and parse_range(options.udp_ports),
            public_ips=options.public_ip,
        )
    except CommandError as error:
        print(f"rtcstream: {error}", file=sys.stderr)
        logging.getLogger("rtcstream").debug("", exc_info=error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _limits(texts: list[str]) -> Limits:
    try:
        return Limits.parse(texts)
    except ValueError as error:
        raise CommandError(str(error)) from None


def limits_in_words() -> str:
    return ", ".join(f"{field.name}={field.default}" for field in fields(Limits))


def _split(given: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what follows ``--``, which is the program's."""
    end = given.index("--") if "--" in given else len(given)
    return given[:end], given[end + 1 :]


def _watched(target: str | None) -> list[Path]:
    if target is not None:
        path = Path(loading.split(target)[0])
        if path.suffix == ".py":
            return [path.resolve().parent]
        if target not in loading.example_names():
            return [Path.cwd()]
    return [loading.EXAMPLES.resolve()]


def _list() -> None:
    lines = [f"{name:16} {loading.sentence(name)}" for name in loading.example_names()]
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or else exiting says so


if __name__ == "__main__":
    sys.exit(main())
