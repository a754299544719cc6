"""rtcstream: your Python function on live camera and microphone, in any browser.

>>> from rtcstream import Image, Stream
>>> def flip(image: Image) -> Image:
...     return image[::-1]
>>> stream = Stream(flip)  # and then: stream.run()
"""

from .errors import (
    CommandError,
    ControlError,
    MessageError,
    NegotiationError,
    ResultError,
    RtcStreamError,
    SessionClosed,
    SignatureError,
)
from .server import serve
from .stream import Stream
from .types import Box, Image, Label, Peer, Range, RGBImage, Samples, Session

__version__ = "0.1.0"

__all__ = [
    "Box",
    "CommandError",
    "ControlError",
    "Image",
    "Label",
    "MessageError",
    "NegotiationError",
    "Peer",
    "RGBImage",
    "Range",
    "ResultError",
    "RtcStreamError",
    "Samples",
    "Session",
    "SessionClosed",
    "SignatureError",
    "Stream",
    "serve",
]
