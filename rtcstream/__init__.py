"""rtcstream: your Python function on live camera and microphone, in any browser.

>>> from rtcstream import Image, Stream
>>> def flip(image: Image) -> Image:
...     return image[::-1]
>>> stream = Stream(flip)  # and then: stream.run()
"""

from .batching import batched
from .drawings import Box, Keypoints, Mask, Plot, Tag, Text
from .errors import (
    CommandError,
    ControlError,
    EncoderError,
    LoadingFailed,
    MessageError,
    NegotiationError,
    ResultError,
    RtcStreamError,
    SessionClosed,
    SignatureError,
)
from .limits import Limits
from .server import serve
from .stream import Stream
from .takes import Recording, Utterance, VideoRecording
from .transport.bitrate import Bitrate
from .turn import IceServers
from .types import (
    AudioChunk,
    Block,
    Channels,
    Download,
    File,
    Image,
    Label,
    Limit,
    Live,
    MaxSize,
    Peer,
    Point,
    Progress,
    Range,
    Rate,
    RGBImage,
    Said,
    Samples,
    Session,
    Turn,
    VideoChunk,
)

__version__ = "0.1.0"

__all__ = [
    "AudioChunk",
    "Bitrate",
    "Block",
    "Box",
    "Channels",
    "CommandError",
    "ControlError",
    "Download",
    "EncoderError",
    "File",
    "IceServers",
    "Image",
    "Keypoints",
    "Label",
    "Limit",
    "Limits",
    "Live",
    "LoadingFailed",
    "Mask",
    "MaxSize",
    "MessageError",
    "NegotiationError",
    "Peer",
    "Plot",
    "Point",
    "Progress",
    "RGBImage",
    "Range",
    "Rate",
    "Recording",
    "ResultError",
    "RtcStreamError",
    "Said",
    "Samples",
    "Session",
    "SessionClosed",
    "SignatureError",
    "Stream",
    "Tag",
    "Text",
    "Turn",
    "Utterance",
    "VideoChunk",
    "VideoRecording",
    "batched",
    "serve",
]
