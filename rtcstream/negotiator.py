"""The sessions of one stream: what signaling asks for, answered with peer connections."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from . import refusals, trickle
from .access import signed_in
from .admission import GRACE_SECONDS, Admission, Slot
from .controls import Control, Values
from .door import OVERLOAD, Door
from .errors import ControlError
from .gate import GATE, Gate
from .limits import DEFAULTS
from .metrics import Ledger
from .options import MediaOptions
from .overload import Overload
from .resuming import Keeper, is_same
from .runner import Runner
from .session import MediaSession
from .session_limits import SessionLimits
from .shared import RunOver, SharedRun
from .signaling import Answer, Fragment, Problem, identity_of, session_not_found
from .signature import Signature
from .transport.ice import IceOptions
from .turn import resolved
from .types import Peer
from .uploads import TooLarge

logger = logging.getLogger("rtcstream.session")

ICE = web.AppKey("rtcstream_ice", IceOptions)
"""The ICE options of an application and of those mounted in it."""
NETWORK = web.AppKey("rtcstream_network", IceOptions)
"""The ports and public addresses of the server, whatever ICE servers an application has."""

RESUME = "Rtcstream-Resume"
"""The header of a POST that names a session whose connection was lost."""

TRIES = 2
"""Sessions in a row that may never connect, and yet have the room of the one before."""


class Sessions:
    """Opens, finds and ends the sessions of one function; a ``signaling.Negotiator``."""

    def __init__(
        self,
        signatures: Sequence[Signature],
        controls: Sequence[Control],
        description: Mapping[str, Any],
        options: MediaOptions,
        shared: bool,
        runner: Runner,
        limits: SessionLimits,
        admission: Admission,
    ) -> None:
        self.door = Door(admission)
        self._limits = limits
        self._signatures = signatures
        self._controls = controls
        self._description = description
        self._options = options
        self._shared = shared
        self._run: SharedRun | None = None
        self._sessions: dict[str, MediaSession] = {}
        self._slots: dict[str, Slot] = {}
        self._negotiating: dict[str, Slot] = {}
        self.runner = runner
        self._keeper = Keeper(admission.keepers)
        self._closing = False
        self.gate = Gate(DEFAULTS)
        """Who is let in, where the application and those around it have no ``GATE``."""
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
        ice = await resolved(_ice(request), identity_of(request))
        servers = {"iceServers": [] if ice is None else list(ice.servers)}
        failed = {"iceServersFailed": True} if ice is None else {}
        visitor = {} if (known := signed_in(request)) is None else {"signedIn": known}
        source = self._run is not None and self._run.source is not None
        seen = {"source": source} if self._shared and self.inputs else {}
        return {**self._description, **servers, **failed, **visitor, **seen}

    async def ice_servers(self, request: web.Request) -> Sequence[Mapping[str, Any]]:
        ice = await resolved(_ice(request), identity_of(request))
        return () if ice is None else ice.servers

    def owner(self, session: str) -> str | None:
        found = self._sessions.get(session)
        return self._keeper.owner(session) if found is None else found.peer.identity

    async def open(self, offer: str, parameters: dict[str, str], request: web.Request) -> Answer:
        identity = identity_of(request)
        peer = Peer(request.remote or None, request.headers, identity)
        gate = request.config_dict.get(GATE, self.gate)
        ice = await resolved(_ice(request), identity) or replace(_ice(request), source=None)
        ice = replace(ice, limits=gate.limits)
        session, answer = await self.connect(
            offer,
            parameters,
            peer,
            ice,
            gate,
            request.config_dict.get(OVERLOAD),
            request.headers.get(RESUME),
        )
        return Answer(session.id, answer, session.ufrag or session.id[:8])

    async def queue(self, request: web.Request) -> AsyncGenerator[Mapping[str, Any], None]:
        self._check_open()
        gate = request.config_dict.get(GATE, self.gate)
        gate.enter_line(request.remote)
        grace = 0.0
        try:
            async with aclosing(self.door.queue(request.config_dict.get(OVERLOAD))) as news:
                async for each in news:
                    grace = GRACE_SECONDS if "ticket" in each else 0.0
                    yield each
        finally:  # a ticket is good for a while yet
            asyncio.get_running_loop().call_later(grace, gate.leave_line, request.remote)

    async def connect(
        self,
        offer: str,
        parameters: Mapping[str, str],
        peer: Peer,
        ice: IceOptions,
        gate: Gate | None = None,
        overload: Overload | None = None,
        resume: str | None = None,
    ) -> tuple[MediaSession, str]:
        """A new session and the answer to its offer, if there is room for it; the headers of
        ``peer`` may carry a ticket, and ``gate`` bounds how many one address has. It goes on with
        the state of one that was lost, if ``resume`` is its id. Raises Problem.
        """
        self._check_open()
        former = None if resume is None else self._former(resume, peer)
        if former is not None:  # which lives on where the new one is refused
            _take_first(Values(self._controls), parameters)
        if gate is not None:
            gate.admit(peer.address, instead=former)
        slot = None if former is None else await self._end_former(former)
        if slot is None:
            slot = self.door.admit(peer.headers, overload)
        try:
            return await self._connect(offer, parameters, peer, ice, slot, gate, resume)
        except BaseException:
            slot.release()
            raise

    def _check_open(self) -> None:
        if self._closing:
            raise Problem(503, "Stopping", "The server is stopping.", {"Retry-After": "5"})

    async def _connect(
        self,
        offer: str,
        parameters: Mapping[str, str],
        peer: Peer,
        ice: IceOptions,
        slot: Slot,
        gate: Gate | None,
        resume: str | None,
    ) -> tuple[MediaSession, str]:
        self._check_open()
        self.runner.begin()
        run = self._shared_run(gate) if self._shared else None
        values = Values(self._controls) if run is None else run.values
        _take_first(values if run is None else run, parameters)
        former, kept = None, None
        if resume is not None:
            former = self._former(resume, peer)
            kept = self._keeper.take(resume, peer) if former is None else former.take_kept()
        session = MediaSession(
            self._signatures,
            values,
            peer,
            ice=ice,
            runner=self.runner,
            options=self._options,
            shared=run,
            stay=self._limits.after(slot.used),
            kept=kept,
            names=frozenset() if former is None else former.names,
            quota=None if gate is None else gate.files,
        )
        if (room := self.door.admission.room) is not None:
            self._keeper.bound_instances(room)
        if gate is not None:
            gate.enter(session)
        self._sessions[session.id] = session
        self.ledger.open(session)
        session.on("closed", lambda reason: self._forget(session, reason))
        self._negotiating[session.id] = slot
        try:
            with refusals.of_an_offer(session):
                answer = await session.negotiate(offer)
        except RunOver:  # whoever ended it may have ended all
            return await self._connect(offer, parameters, peer, ice, slot, gate, resume)
        finally:
            self._negotiating.pop(session.id, None)
        self._slots[session.id] = slot
        return session, answer

    async def _end_former(self, session: MediaSession) -> Slot | None:
        """End the session that a visitor comes from, which does not know yet that it was lost; the
        room that it had goes on to the next, with the time that it has used."""
        slot = self._passed_on(session)
        session.end_soon("it goes on in another connection", lost=True)
        if self._shared:  # who sends to all does so until it is over
            try:
                await session.closed.wait()
            except BaseException:
                if slot is not None:
                    slot.release()
                raise
        return slot

    def _passed_on(self, session: MediaSession) -> Slot | None:
        """A session's room, unless its time is over, it has been ended for good, or it is one of a
        row that never connected: who holds a room so would hold it for ever."""
        held = self._slots.get(session.id) or self._negotiating.get(session.id)
        if held is None or session.ended_for_good:
            return None
        limit, connected = self._limits.time_limit, session.was_connected
        if not connected and held.tries >= TRIES:
            return None
        if limit is not None and held.used + session.time_used >= limit:
            return None
        self._slots.pop(session.id, None)
        self._negotiating.pop(session.id, None)
        return held.pass_on(session.time_used, connected)

    def _former(self, name: str, peer: Peer) -> MediaSession | None:
        """The newest session that a visitor knows by this name."""
        known = (each for each in reversed(self._sessions.values()) if name in each.names)
        return next((each for each in known if is_same(each.peer, peer)), None)

    def _shared_run(self, gate: Gate | None) -> SharedRun:
        """The run that all watch, or a new one."""
        if self._run is None:
            self._run = SharedRun(
                self._signatures[0],
                self._controls,
                self._options,
                self.runner,
                self._run_over,
                None if gate is None else gate.files,
            )
        return self._run

    def _run_over(self) -> None:
        if self._run is not None:
            self.ledger.close_run(self._run)
        self._run = None

    async def trickle(self, session: str, fragment: Fragment) -> None:
        await trickle.take(self._find(session), fragment)

    async def upload(
        self,
        session: str,
        control: str,
        name: str,
        length: int | None,
        chunks: AsyncIterator[bytes],
    ) -> dict[str, Any]:
        found = self._find(session)
        taking = found.values.file_control(control)
        if taking is None:
            raise Problem(404, "No such control", "The stream has no control there for a file.")
        if not found.live:  # or else it could be anybody's, for nothing
            raise Problem(409, "Not connected", "Send the file when the session is connected.")
        most = int(taking.maximum or 0)
        with refusals.of_a_file(found, most):
            if length is not None and length > most:
                raise TooLarge
            return await found.upload(taking, name, chunks)

    def download(self, key: str, identity: str | None) -> tuple[Path, str] | None:
        for session in self._sessions.values():
            if session.peer.identity == identity:
                for host in session.hosts:
                    if (found := host.downloaded(key)) is not None:
                        return found
        return None

    async def abandon(self, session: str) -> None:
        await self._find(session).end("nobody took the answer", lost=True)

    async def close(self, session: str) -> None:
        if self._keeper.give_up(session):  # who says goodbye does not come back
            return
        await self._find(session).end("stopped by the page")
        self._keeper.give_up(session)  # it may just have been lost

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
        """Begin no more sessions; who waits for one is sent away."""
        self._closing = True
        self.door.close()

    async def end_all(self, reason: str) -> None:
        """End every session, and begin no more."""
        self.refuse_more()
        self._keeper.close()
        if self._run is not None:
            self._run.end_soon(reason)
        await asyncio.gather(*(session.end(reason) for session in list(self._sessions.values())))
        await self.runner.end()

    def _find(self, session: str) -> MediaSession:
        if session in self._sessions:
            return self._sessions[session]
        raise session_not_found()

    def _forget(self, session: MediaSession, reason: str) -> None:
        del self._sessions[session.id]
        if (slot := self._slots.pop(session.id, None)) is not None:
            slot.release(ran=session.was_connected)
        if (kept := session.take_kept()) is not None:
            self._keeper.keep(kept)
        self.ledger.close(session, reason)


def _take_first(values: Values | SharedRun, parameters: Mapping[str, str]) -> None:
    """Take the first values of a query. Raises Problem."""
    try:
        values.first(parameters)
    except ControlError as error:
        raise Problem(400, "Control not accepted", f"{error}.") from None


def _ice(request: web.Request) -> IceOptions:
    network = request.config_dict.get(NETWORK, IceOptions())
    return replace(
        request.config_dict.get(ICE, network),
        ports=network.ports,
        public_addresses=network.public_addresses,
    )
