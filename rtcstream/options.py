"""How a stream's media are sent: what a ``Stream`` is given beside its function."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from .transport.bitrate import Bitrate
from .transport.sender import Latency

Codec = Literal["auto", "vp8", "h264"]


@dataclass(frozen=True)
class MediaOptions:
    """``max_fps``, ``bitrate``, ``latency`` and ``codec``, as ``Stream`` describes them.

    Raises ValueError.
    """

    max_fps: float | None = None
    bitrate: Bitrate = field(default_factory=Bitrate)
    latency: Latency = "auto"
    codec: Codec = "auto"

    def __post_init__(self) -> None:
        fps = self.max_fps
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"max_fps must be above zero, or None for no bound, not {fps!r}")
        for name, allowed in (("latency", get_args(Latency)), ("codec", get_args(Codec))):
            if getattr(self, name) not in allowed:
                words = ", ".join(map(repr, allowed))
                raise ValueError(f"{name} must be one of {words}, not {getattr(self, name)!r}")

    @property
    def hardware(self) -> bool:
        """Whether to encode in hardware where there is one that can: it is used for H.264."""
        return self.codec != "vp8"
