"""How many bits a second a picture may take: what it needs, and what the network has."""

from dataclasses import dataclass

LEAST = 100_000
"""Bits a second of any picture, unless the stream says."""
BITS_PER_PIXEL = 5.5
"""A second, at 30 pictures: libvpx's is sharp on camera pictures by then."""
STEP_UP, STEP_DOWN = 0.02, 0.10
"""Shares of lost packets below which the rate may rise, and above which it falls."""


@dataclass(frozen=True)
class Bitrate:
    """The video bitrate of each viewer, in bits a second: ``start``, at ``least``, at ``most``.

    Between them it follows the network. What is None goes by the size of the picture: 640x480
    starts at 0.8 and rises to 1.7 million, 1280x720 at 2.5 and to 5 million. Raises ValueError
    unless 50_000 <= least <= start <= most <= 100_000_000, of those that are given.
    """

    start: int | None = None
    least: int | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.least, self.start, self.most) if value is not None]
        if sorted(given) != given or not all(5e4 <= value <= 1e8 for value in given):
            raise ValueError(
                f"{self!r}: bits a second must have 50_000 <= least <= start <= most <= 100_000_000"
            )

    def limits(self, width: int, height: int) -> tuple[int, int, int]:
        """Least, start and most for a picture of this size."""
        by_size = max(width * height * BITS_PER_PIXEL, 300_000)
        most = self.most or int(max(by_size, self.start or 0, self.least or 0))
        least = self.least or min(LEAST, self.start or most, most)
        start = self.start or max(least, most // 2)
        return least, start, most


class BitrateController:
    """Follows what a receiver says that it can take.

    When packets came (``CongestionController``) says it best. Of a receiver that does not tell, its
    own estimate (REMB, draft-alvestrand-rmcat-remb) is the bound, but for what it cannot know: a
    still picture takes little, and an estimate that falls then falls to that little, though nothing
    was in the way; so it is followed a step at a time. On top of it the rate falls with
    loss above 10%, by half of that share, and rises by 5% with each report below 2%
    (draft-ietf-rmcat-gcc section 6). Loss in between is taken for chance, which no lower rate would
    mend.
    """

    LEAST_PACKETS = 300
    """That a share is taken of: of fewer, chance alone often takes a tenth."""
    FLOOR = 50_000
    """Bits a second below which loss does not lead."""

    def __init__(self) -> None:
        self._remb: int | None = None
        self._by_estimate: float | None = None
        self._by_loss: float | None = None
        self._sent = 0
        self._lost = 0.0

    def on_estimate(self, estimate: int, sending: float, asked: int) -> None:
        """The receiver's estimate of what it can be sent, while so much is, and the encoder is
        asked for so much; in bits a second."""
        falls = self._remb is None or estimate < 0.97 * self._remb
        self._remb = estimate
        rate = asked if self._by_estimate is None else self._by_estimate
        if estimate >= rate:
            self._by_estimate = estimate
        elif falls:
            self._by_estimate = max(estimate, 0.7 * rate) if sending < 0.5 * rate else estimate

    def on_rate(self, rate: float | None) -> None:
        """What the network takes by the arrivals of packets; None when that is not known."""
        if rate is not None:
            self._by_estimate = rate

    def on_report(self, share_lost: float, packets: int, asked: int) -> None:
        """The share that was lost of the packets sent since the last report, while the encoder was
        asked for so many bits a second."""
        self._sent += packets
        self._lost += share_lost * packets
        if self._sent < self.LEAST_PACKETS:
            return
        share = self._lost / self._sent
        self._sent, self._lost = 0, 0.0
        if share > STEP_DOWN:
            self._by_loss = max((self._by_loss or asked) * (1 - share / 2), self.FLOOR)
        elif share < STEP_UP and self._by_loss is not None:
            rate = self._by_loss * 1.05 + 1000
            self._by_loss = None if rate > 2 * asked else rate  # no longer what holds it back

    @property
    def target(self) -> int | None:
        """Bits a second that can be sent; None when nothing is known yet."""
        known = [rate for rate in (self._by_estimate, self._by_loss) if rate is not None]
        return int(min(known)) if known else None
