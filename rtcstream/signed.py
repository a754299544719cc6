"""Values that a client keeps for us and cannot change: who it is, until when."""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass

VERSION = "1"
LONGEST = 1024
"""Characters of what is read; an identity of 256 takes half of that."""


@dataclass(frozen=True)
class Pass:
    """That somebody has signed in: who, until when (Unix time, seconds), and which sign-in."""

    identity: str
    expires: int
    serial: str

    @classmethod
    def new(cls, identity: str, expires: float) -> "Pass":
        return cls(identity, int(expires), secrets.token_urlsafe(12))


def sign(granted: Pass, key: bytes) -> str:
    """The pass as text for a cookie: ``1.EXPIRES.SERIAL.IDENTITY.HMAC``, all of it base64url."""
    identity = _to_text(granted.identity.encode())
    body = f"{VERSION}.{granted.expires}.{granted.serial}.{identity}"
    return f"{body}.{_to_text(_mac(body, key))}"


def read(text: str, key: bytes, now: float) -> Pass | None:
    """The pass that ``sign`` made of the same key, or None: forged, broken or expired."""
    if len(text) > LONGEST or not text.isascii():
        return None
    body, _, mac = text.rpartition(".")
    parts = body.split(".")
    if len(parts) != 4 or parts[0] != VERSION:
        return None
    # As text: base64 has many forms of the same bytes, and a pass has one.
    if not hmac.compare_digest(mac, _to_text(_mac(body, key))):
        return None
    try:
        granted = Pass(_from_text(parts[3]).decode(), int(parts[1]), parts[2])
    except ValueError:
        return None
    return granted if now < granted.expires else None


def claimed_identity(text: str) -> str:
    """Who a pass says it is of, not verified: it tells which key to verify it with."""
    parts = text.split(".") if len(text) <= LONGEST and text.isascii() else []
    try:
        return _from_text(parts[3]).decode() if len(parts) == 5 else ""
    except ValueError:
        return ""


def _mac(body: str, key: bytes) -> bytes:
    return hmac.digest(key, body.encode(), hashlib.sha256)


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_text(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
