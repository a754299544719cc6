"""How much one peer, one address and all of them may ask of a server."""

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of a server; each is an option, all have defaults that people do not meet.

    An address is that of the HTTP client; of IPv6 a whole /64 counts as one. Behind a proxy all
    visitors have the proxy's, unless it is named (``trusted_proxies``). Raises ValueError for
    what is not a number in its range: rates from 0.1, all others whole and from 1.
    """

    body: int = 64 * 1024
    """Bytes of a request's body."""
    header: int = 8190
    """Bytes of a request's first line, and of each header."""
    headers: int = 64
    """Headers of a request."""
    lines: int = 2000
    """Lines of an offer; a browser's has 150 to 400."""
    sections: int = 8
    """Media sections of an offer: each that is not bundled opens sockets of its own."""
    candidates: int = 128
    """Candidates of an offer, and as many again that come later: each is an address, of anybody,
    that STUN requests go to."""
    message: int = 64 * 1024
    """Bytes of one message on a data channel; a text control has 10,000 characters at most."""
    messages: float = 500.0
    """Messages a second on a session's data channels."""
    message_burst: int = 1000
    """Messages at once."""
    posts: float = 10.0
    """POST requests a second from one address."""
    post_burst: int = 100
    """POST requests at once from one address."""
    sessions: int = 100
    """Sessions of one address at a time."""
    places: int = 25
    """Places in line of one address at a time."""
    files: int = 10_000
    """Megabytes of uploaded files at a time, of all sessions of the server."""
    half_open: int = 128
    """Sessions of the server that are not connected yet, at a time; more than ``post_burst``, or
    else a burst that is let in would displace itself."""
    sign_ins: float = 0.2
    """Wrong tokens a second from one address."""
    sign_in_burst: int = 10
    """Wrong tokens at once from one address."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is float or field.type == "float":
                fits = isinstance(value, int | float) and not isinstance(value, bool)
                wanted, fits = "a number from 0.1", fits and 0.1 <= value <= 1e9
            else:
                fits = isinstance(value, int) and not isinstance(value, bool)
                wanted, fits = "a whole number from 1", fits and 1 <= value <= 10**9
            if not fits:
                raise ValueError(f"the limit {field.name} must be {wanted} to 1e9, not {value!r}")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Limits":
        """The limits that ``NAME=VALUE`` texts change. Raises ValueError."""
        numbers: dict[str, type] = {f.name: type(f.default) for f in fields(cls)}
        given: dict[str, float] = {}
        for text in texts:
            name, _, value = text.partition("=")
            name = name.strip().replace("-", "_")
            if name not in numbers:
                raise ValueError(f"there is no limit {name!r}; there are {', '.join(numbers)}")
            try:
                given[name] = numbers[name](value)
            except ValueError:
                kind = "a whole number" if numbers[name] is int else "a number"
                raise ValueError(f"the limit {name} must be {kind}, not {value!r}") from None
        return cls(**given)  # type: ignore[arg-type]


DEFAULTS = Limits()

LIFTED = Limits(posts=1e9, post_burst=10**9, sessions=10**9, places=10**9, half_open=10**9)
"""For a load that is one's own, and comes from one address."""
