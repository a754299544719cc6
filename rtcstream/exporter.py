"""The metrics of a server in Prometheus's text format, put together when they are asked for."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .metrics import STAGE_BOUNDS, Histogram
from .negotiator import Sessions
from .operations import Operations
from .transport.network import network

# Each is labelled by its stream; none by its session, of which there is no end.
COUNTERS = {
    "frames_in": "Frames that came: pictures, or blocks of sound where there are no pictures.",
    "frames_out": "Frames that left.",
    "frames_dropped": "Frames given up because newer ones were there, or decoding fell behind.",
    "bytes_in": "Bytes of media that came.",
    "bytes_out": "Bytes of media that left.",
    "packets_in": "RTP packets that came.",
    "packets_out": "RTP packets that left.",
    "packets_missing": "RTP packets that did not come when they were due.",
    "packets_lost": "RTP packets sent that peers report as lost.",
    "messages_dropped": "Data-channel messages given up because a page took them too slowly.",
    "errors": "Calls of functions, and encodings of what they gave, that failed.",
    "hangs": "Calls of functions that did not return in time.",
}


class _Collector(Collector):
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def collect(self) -> Iterable[Metric]:
        yield from self._of_server()
        totals = {name: each.ledger.total() for name, each in self._operations.streams.items()}
        for name, text in COUNTERS.items():
            counter = CounterMetricFamily(f"rtcstream_{name}", text, labels=["stream"])
            for stream, total in totals.items():
                counter.add_metric([stream], getattr(total, name))
            yield counter
        yield from self._of_sessions()
        yield from self._of_stages()

    def _of_server(self) -> Iterator[Metric]:
        for reading in self._operations.readings:
            kind = CounterMetricFamily if reading.rises else GaugeMetricFamily
            family = kind(f"rtcstream_{reading.name}", reading.text)
            family.add_metric([], reading.read())
            yield family
        answers = CounterMetricFamily("rtcstream_http_answers", "By status", labels=["status"])
        for status, count in self._operations.answers.items():
            answers.add_metric([str(status)], count)
        yield answers

    def _of_sessions(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "rtcstream_sessions",
            "Sessions now: live, or half-open, which have no connection yet",
            labels=["stream", "state"],
        )
        opened = CounterMetricFamily(
            "rtcstream_sessions_opened", "Offers taken up", labels=["stream"]
        )
        closed = CounterMetricFamily(
            "rtcstream_sessions_closed", "Sessions ended, by why", labels=["stream", "reason"]
        )
        hanging = GaugeMetricFamily(
            "rtcstream_hanging", "Functions that have not returned in time", labels=["stream"]
        )
        round_trip = GaugeMetricFamily(
            "rtcstream_round_trip_seconds",
            "To the peers of all live sessions, by their reports",
            labels=["stream", "quantile"],
        )
        for stream, sessions in self._operations.streams.items():
            live = [each for each in sessions.live() if each.live]
            state.add_metric([stream, "live"], len(live))
            state.add_metric([stream, "half-open"], len(sessions) - len(live))
            opened.add_metric([stream], sessions.ledger.opened)
            for reason, count in sessions.ledger.closed.items():
                closed.add_metric([stream, reason], count)
            hanging.add_metric([stream], sessions.hanging())
            for quantile, seconds in _round_trips(sessions):
                round_trip.add_metric([stream, quantile], seconds)
        yield from (state, opened, closed, hanging, round_trip)

    def _of_stages(self) -> Iterator[Metric]:
        stages = HistogramMetricFamily(
            "rtcstream_stage_seconds",
            "How long pictures took through each stage of their way, and in total",
            labels=["stream", "stage"],
        )
        for stream, sessions in self._operations.streams.items():
            for stage, histogram in sessions.ledger.stages.items():
                stages.add_metric([stream, stage], _buckets(histogram), histogram.sum)
        yield stages


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Cumulative, as Prometheus has them."""
    buckets, count = [], 0
    for bound, more in zip((*map(str, STAGE_BOUNDS), "+Inf"), histogram.counts, strict=True):
        count += more
        buckets.append((bound, float(count)))
    return buckets


def _round_trips(sessions: Sessions) -> Iterator[tuple[str, float]]:
    known = sorted(
        met.round_trip
        for each in sessions.live()
        if (met := network(each.wiring.senders, each.wiring.receivers)).round_trip is not None
    )
    if known:
        yield "0.5", known[len(known) // 2]
        yield "0.95", known[len(known) * 95 // 100]


def exported(operations: Operations, accept: str) -> tuple[bytes, str]:
    """All metrics as of the last look, with the process's memory, CPU and descriptors: in the
    format of those that ``accept`` (an ``Accept`` header) names, and its media type."""
    metrics = CollectorRegistry()
    metrics.register(_Collector(operations))
    ProcessCollector(registry=metrics)
    encode: Any
    encode, media_type = choose_encoder(accept)
    return encode(metrics), media_type
