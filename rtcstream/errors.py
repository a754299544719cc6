"""Every error that rtcstream raises on purpose. Each carries what a program needs as attributes."""


class RtcStreamError(Exception):
    """The root of the tree: ``except RtcStreamError`` catches all that is ours."""


class SignatureError(RtcStreamError, TypeError):
    """A function cannot be served; raised when the ``Stream`` is built, never later.

    ``function`` and ``parameter`` (None when it is about the function as a whole, ``"return"``
    for what it returns) say where; the message says what to write instead.
    """

    def __init__(self, function: str, parameter: str | None, message: str) -> None:
        if parameter is None:
            place = f"{function}()"
        elif parameter == "return":
            place = f"{function}(), what it returns"
        else:
            place = f"{function}(), parameter {parameter!r}"
        super().__init__(f"{place}: {message}")
        self.function = function
        self.parameter = parameter


class ControlError(RtcStreamError, ValueError):
    """A value that a control does not take; ``control`` names it, even one that does not exist."""

    def __init__(self, control: str, message: str) -> None:
        super().__init__(message)
        self.control = control


class MessageError(RtcStreamError, ValueError):
    """A data-channel message not of the wire contract; ``seq`` is its number, if it had one."""

    def __init__(self, message: str, seq: int | None = None) -> None:
        super().__init__(message)
        self.seq = seq


class ResultError(RtcStreamError, TypeError):
    """What a function returned is not what its signature promises, or cannot be sent."""


class LoadingFailed(RtcStreamError):
    """What a function needs is not there, or could not be loaded; the message says what to do.

    Raise it in a ``lifespan``, a class's constructor or the function itself: the page shows the
    message as it is, and the log has it as one line, without a traceback.
    """


class NegotiationError(RtcStreamError):
    """An offer that cannot be used; the message says why."""


class EncoderError(RtcStreamError):
    """An encoder that is not to be had here, or that failed; the message says which and why."""


class SessionClosed(RtcStreamError):
    """The session has ended, so nothing can be sent to or awaited from its peer any more."""


class CommandError(RtcStreamError):
    """What the command line was asked for cannot be done; the message is the one line to print."""
