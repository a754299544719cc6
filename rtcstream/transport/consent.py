"""Whether the peer is still there: consent to send (RFC 7675), asked for often enough to notice."""

import asyncio
import random
from collections.abc import Callable

from aioice import stun
from aiortc.rtcdtlstransport import RTCDtlsTransport

INTERVAL = 2.0
"""Seconds between two questions, more or less by a fifth (RFC 7675 section 5.1)."""
RETRANSMISSIONS = 1
"""How often one is asked again; an answer may take 0.5 s, and then 1 s more."""
SILENT = 4.5
"""Seconds without an answer after which a peer is said to be silent."""
GONE = 11.0
"""Seconds without an answer after which it is gone; found out within one question, 3.9 s."""


class Consent:
    """Asks the peer of one ICE connection, in the place of aioice, which takes 30 s to notice.

    ``on_silence`` is called with True when nothing has been answered for a while, and with False
    when it is again. ``checked`` tells whether a valid check has come from the peer at all: it
    knows the password of our answer, and receives where it says; ``gone`` that it was given up.
    """

    def __init__(self, transport: RTCDtlsTransport, on_silence: Callable[[bool], None]) -> None:
        self.checked = False
        self.gone = False
        self._on_silence = on_silence
        self._silent = False
        self._connection = transport.transport._connection
        self._check_incoming = self._connection.check_incoming
        self._connection.query_consent = self._ask  # type: ignore[method-assign]
        self._connection.check_incoming = self._on_check  # type: ignore[method-assign]

    def _on_check(
        self, message: stun.Message, addr: tuple[str, int], protocol: stun.TransactionSender
    ) -> None:
        self.checked = True
        self._check_incoming(message, addr, protocol)  # type: ignore[arg-type]

    async def _ask(self) -> None:
        connection, loop = self._connection, asyncio.get_running_loop()
        heard = loop.time()
        notice = loop.call_later(SILENT, self._note, True)
        try:
            while loop.time() - heard < GONE:
                await asyncio.sleep(INTERVAL * random.uniform(0.8, 1.2))
                if await self._answers():
                    heard = loop.time()
                    notice.cancel()
                    notice = loop.call_later(SILENT, self._note, True)
                    self._note(False)
        finally:
            notice.cancel()
        self.gone = True
        connection._query_consent_task = None  # or else closing would cancel what closes
        await connection.close()

    async def _answers(self) -> bool:
        connection = self._connection
        assert connection.remote_password is not None  # it is connected
        for pair in list(connection._nominated.values()):
            try:
                await pair.protocol.request(
                    connection.build_request(pair, nominate=False),
                    pair.remote_addr,
                    integrity_key=connection.remote_password.encode(),
                    retransmissions=RETRANSMISSIONS,
                )
            except (stun.TransactionError, OSError):  # the latter of a TURN server's connection
                return False
        return True

    def _note(self, silent: bool) -> None:
        if silent != self._silent:
            self._silent = silent
            self._on_silence(silent)
