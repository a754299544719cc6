"""What is not HTTP, in the log."""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


class _OneLine(logging.Filter):
    """Broken HTTP is its client's affair: a line at "info" without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            record.msg, record.args = "a request was not HTTP: %r", (str(error)[:200],)
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
            return logging.getLogger("rtcstream").isEnabledFor(logging.INFO)
        return True


def http_log() -> logging.Logger:
    """What aiohttp logs of the requests of a server."""
    log = logging.getLogger("rtcstream.http")
    if not log.filters:
        log.addFilter(_OneLine())
    return log
