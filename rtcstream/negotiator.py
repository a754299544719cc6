"""The sessions of one stream: what signaling asks for, answered with peer connections."""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from aiortc import RTCIceCandidate

from .controls import Control, Values
from .errors import ControlError, NegotiationError
from .metrics import Ledger
from .options import MediaOptions
from .session import MediaSession
from .shared import RunOver, SharedRun, SourceTaken
from .signaling import Answer, Candidate, Fragment, Problem
from .signature import Signature
from .transport.ice import IceOptions, is_usable_candidate
from .types import Peer
from .wiring import NothingToView

logger = logging.getLogger("rtcstream.session")

ICE = web.AppKey("rtcstream_ice", IceOptions)
"""The ICE options of an application and of those mounted in it."""

MAX_CANDIDATES = 128
"""Trickled candidates of one session: each may become a check to send."""

RETRY_AFTER = "2"
"""Seconds after which there may be something to view."""


class Sessions:
    """Opens, finds and ends the sessions of one function; a ``signaling.Negotiator``."""

    def __init__(
        self,
        signatures: Sequence[Signature],
        controls: Sequence[Control],
        description: Mapping[str, Any],
        options: MediaOptions,
        shared: bool,
    ) -> None:
        self._signatures = signatures
        self._controls = controls
        self._description = description
        self._options = options
        self._shared = shared
        self._run: SharedRun | None = None
        self._sessions: dict[str, MediaSession] = {}
        self._candidates: dict[str, int] = {}
        self._shared_lock = threading.Lock()
        self._closing = False
        self.ledger = Ledger()
        """What they have done, those that have ended too."""

    @property
    def inputs(self) -> list[str]:
        """The kinds of media that the stream takes."""
        return list(self._description["inputs"])

    @property
    def outputs(self) -> list[str]:
        """What it gives back: kinds of media, and "data" for results."""
        return list(self._description["outputs"])

    def __len__(self) -> int:
        return len(self._sessions)

    async def describe(self, request: web.Request) -> dict[str, Any]:
        return {**self._description, "iceServers": list(self.ice_servers(request))}

    def ice_servers(self, request: web.Request) -> Sequence[Mapping[str, Any]]:
        return _ice(request).servers

    async def open(self, offer: str, parameters: dict[str, str], request: web.Request) -> Answer:
        peer = Peer(request.remote, request.headers)
        session, answer = await self.connect(offer, parameters, peer, _ice(request))
        return Answer(session.id, answer, session.ufrag or session.id[:8])

    async def connect(
        self, offer: str, parameters: Mapping[str, str], peer: Peer, ice: IceOptions
    ) -> tuple[MediaSession, str]:
        """A new session and the answer to its offer. Raises Problem."""
        if self._closing:
            raise Problem(503, "Stopping", "The server is stopping.", {"Retry-After": "5"})
        run = self._shared_run() if self._shared else None
        values = Values(self._controls) if run is None else run.values
        try:
            if run is None:
                values.first(parameters)
            else:
                run.first(parameters)
        except ControlError as error:
            raise Problem(400, "Control not accepted", f"{error}.") from None
        session = MediaSession(
            self._signatures,
            values,
            peer,
            ice=ice,
            shared_lock=self._shared_lock,
            options=self._options,
            shared=run,
        )
        self._sessions[session.id] = session
        self.ledger.open(session)
        session.on("closed", lambda reason: self._forget(session, reason))
        try:
            answer = await session.negotiate(offer)
        except RunOver:  # whoever ended it may have ended all
            return await self.connect(offer, parameters, peer, ice)
        except NothingToView as error:
            raise Problem(
                409, "Nothing to view", f"{error}.", {"Retry-After": RETRY_AFTER}
            ) from None
        except SourceTaken as error:
            raise Problem(409, "Somebody sends already", f"{error}.") from None
        except NegotiationError as error:
            logger.debug("an offer was refused", exc_info=error)
            raise Problem(400, "Offer not accepted", f"{str(error)[:500]}.") from None
        return session, answer

    def _shared_run(self) -> SharedRun:
        """The run that all watch, or a new one."""
        if self._run is None:
            self._run = SharedRun(
                self._signatures[0],
                self._controls,
                self._options,
                self._shared_lock,
                self._run_over,
            )
        return self._run

    def _run_over(self) -> None:
        if self._run is not None:
            self.ledger.close_run(self._run)
        self._run = None

    async def trickle(self, session: str, fragment: Fragment) -> None:
        found = self._find(session)
        if fragment.ufrag is not None and fragment.ufrag != found.ufrag:
            raise Problem(
                422,
                "No ICE restart",
                "The fragment is of another ICE generation; open a new session instead.",
            )
        count = self._candidates.get(session, 0) + len(fragment.candidates)
        if count > MAX_CANDIDATES:
            raise Problem(
                400, "Too many candidates", f"At most {MAX_CANDIDATES} are taken in a session."
            )
        self._candidates[session] = count
        for candidate in fragment.candidates:
            if is_usable_candidate(candidate.text.split()):
                await found.add_candidate(_to_aiortc(candidate))

    async def close(self, session: str) -> None:
        await self._find(session).end("stopped by the page")

    @property
    def name(self) -> str:
        """The stream's."""
        return str(self._description["name"])

    def live(self) -> list[MediaSession]:
        """The sessions that have not ended, half-open ones too."""
        return list(self._sessions.values())

    def look(self) -> Ledger:
        """The ledger, as of now."""
        self.ledger.look(self._sessions.values(), self._run)
        return self.ledger

    def look_at_run(self) -> None:
        """Bring the ledger up to date with the shared run alone, if there is one."""
        self.ledger.look([], self._run)

    def hanging(self) -> int:
        """How many of their functions do not return."""
        shared = 0 if self._run is None else self._run.hanging
        return shared + sum(session.hanging for session in self._sessions.values())

    def refuse_more(self) -> None:
        """Begin no more sessions."""
        self._closing = True

    async def end_all(self, reason: str) -> None:
        """End every session, and begin no more."""
        self.refuse_more()
        if self._run is not None:
            self._run.end_soon(reason)
        await asyncio.gather(*(session.end(reason) for session in list(self._sessions.values())))

    def _find(self, session: str) -> MediaSession:
        if session in self._sessions:
            return self._sessions[session]
        raise Problem(
            404, "Session not found", "It has ended, or never was; open a new one with POST."
        )

    def _forget(self, session: MediaSession, reason: str) -> None:
        del self._sessions[session.id]
        self._candidates.pop(session.id, None)
        self.ledger.close(session, reason)


def _ice(request: web.Request) -> IceOptions:
    return request.config_dict.get(ICE, IceOptions())


def _to_aiortc(candidate: Candidate) -> RTCIceCandidate:
    return RTCIceCandidate(
        component=candidate.component,
        foundation=candidate.foundation,
        ip=candidate.ip,
        port=candidate.port,
        priority=candidate.priority,
        protocol=candidate.protocol,
        type=candidate.type,
        relatedAddress=candidate.related_address,
        relatedPort=candidate.related_port,
        sdpMid=candidate.mid,
        sdpMLineIndex=candidate.mline,
        tcpType=candidate.tcp_type,
    )
