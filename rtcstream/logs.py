"""Log lines that say of which session they are, as text or as JSON."""

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]

_session: ContextVar[str] = ContextVar("rtcstream_session", default="")


def short(session: str) -> str:
    """What stands for a session in the log: not enough of its id to use it by."""
    return session[:6]


@contextlib.contextmanager
def about(session: str) -> Iterator[None]:
    """Lines logged inside are of this session, and so are those of tasks, callbacks and
    ``thread``s that are made inside."""
    token = _session.set(short(session))
    try:
        yield
    finally:
        _session.reset(token)


def thread(target: Callable[[], None], name: str) -> threading.Thread:
    """A daemon thread whose lines are of the session that makes it: a plain one's are nobody's."""
    return threading.Thread(target=copy_context().run, args=(target,), name=name, daemon=True)


class SessionFilter(logging.Filter):
    """Notes at each record of which session it is (``record.session``, "" for none).

    For a handler: filters of a logger do not see what loggers below it log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "session"):
            record.session = _session.get()
        return True


def _parts(record: logging.LogRecord) -> tuple[str, str]:
    """The session and the message; some name their session themselves, for logs without us."""
    session = str(getattr(record, "session", ""))
    return session, record.getMessage().removeprefix(f"{session} ")


class TextFormatter(logging.Formatter):
    """``LEVEL logger: SESSION message``."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        session, message = _parts(record)
        of_session = f"{session} " if session else ""
        return f"{record.levelname} {record.name}: {of_session}{message}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, and
    ``session`` and ``exception`` where there are such."""

    def format(self, record: logging.LogRecord) -> str:
        session, message = _parts(record)
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if session:
            line["session"] = session
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: int, form: LogFormat) -> None:
    """Log to stderr, unless the program has arranged for its log itself."""
    handler = logging.StreamHandler()
    handler.addFilter(SessionFilter())
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level)
    # aioice and aiortc tell at "info" what is of interest when debugging them only.
    for noisy in ("aioice", "aiortc"):
        quiet = level if level == logging.DEBUG else max(level, logging.WARNING)
        logging.getLogger(noisy).setLevel(quiet)
