"""For phones on the same network: this machine's address, and a self-signed certificate."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = datetime.timedelta(days=30)


def lan_address() -> str:
    """This machine's address as others on its network see it; sends nothing."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # a UDP connect only looks up the route (RFC 5737 address)
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def lan_addresses() -> list[str]:
    """This machine's IPv4 addresses as others may reach it, the usual one first."""
    usual = lan_address()
    with contextlib.suppress(OSError):
        others = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
        found = [usual, *sorted(other for other in others if ":" not in other)]
        return [a for a in dict.fromkeys(found) if not ipaddress.ip_address(a).is_loopback]
    return [usual]


def self_signed(context: ssl.SSLContext) -> None:
    """Load a new certificate for this machine's names and addresses into a TLS context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rtcstream")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_names()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Python's ssl takes files only; these are readable by their owner alone, and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder, "certificate.pem")
        pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(pem)


def _names() -> list[x509.GeneralName]:
    host = socket.gethostname()
    addresses = {"127.0.0.1", "::1"}
    with contextlib.suppress(OSError):
        addresses |= {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    addresses.add(lan_address())
    return [
        # A certificate's names are ASCII; those of Windows machines need not be.
        *(x509.DNSName(n) for n in ("localhost", host, f"{host}.local") if n.isascii()),
        *(x509.IPAddress(ipaddress.ip_address(a.partition("%")[0])) for a in sorted(addresses)),
    ]
