"""The libraries in C that a wheel of PyAV carries, for what FFmpeg does not ask them to do."""

from pathlib import Path

import av


def carried(name: str) -> Path | None:
    """Where ``lib<name>`` is, if this PyAV carries it."""
    package = Path(av.__file__).parent
    # Where the tools that complete wheels put them: on Linux and Windows, and on macOS.
    places = (package.parent / "av.libs", package / ".dylibs")
    found = [path for place in places for path in sorted(place.glob(f"lib{name}[-.]*"))]
    return found[0] if found else None
