"""A network namespace of a benchmark's own, where packets are lost, or few get through. Linux only.

Root can make one; others where the kernel lets users have namespaces.
"""

import os
import subprocess
import sys

from benchmarks.measure import BenchmarkError

MARK = "RTCSTREAM_BENCHMARK_NAMESPACE"
CHAIN = "inet benchmark input"

# An address that is not loopback's, which browsers and aiortc leave out, and a route that makes it
# the one they would be reached at. Packets to it stay on this machine. They are lost as they come
# in: of those that are not let out the kernel tells the sender. An address of IPv6 that the kernel
# made would be there a second later, which browsers take for another network.
SETUP = """\
ip link set lo up
ip link add benchmark type veth peer name far
ip link set benchmark addrgenmode none
ip link set far addrgenmode none
ip address add 10.9.0.1/24 dev benchmark
ip link set benchmark up
ip link set far up
ip route add default dev benchmark
nft add table inet benchmark
nft add chain inet benchmark input { type filter hook input priority 0; }
"""


def enter(module: str) -> None:
    """Start the program again inside a namespace, which goes with it. Raises BenchmarkError."""
    if MARK not in os.environ:
        unshare = (
            ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
        )
        command = [*unshare, sys.executable, "-m", module, *sys.argv[1:]]
        try:
            os.execvpe(command[0], command, {**os.environ, MARK: "made"})
        except OSError as error:
            raise BenchmarkError(f"no network namespace can be made: {error}") from error
    for line in SETUP.splitlines():
        _run(*line.split())


def lose(percent: int) -> None:
    """From now on lose so many UDP packets of a hundred, at random, in each direction."""
    _run("nft", "flush", "chain", *CHAIN.split())
    if percent:
        rule = f"meta l4proto udp numgen random mod 100 < {percent} counter drop"
        _run("nft", "add", "rule", *CHAIN.split(), *rule.split())


def narrow(bits: int | None) -> None:
    """From now on let so many bits a second through, both directions together, and queue what is
    more for 0.3 s at most; None lets all through."""
    if bits is None:
        _run("tc", "qdisc", "replace", "dev", "lo", "root", "noqueue")
    else:
        limit = f"rate {bits}bit burst 16kb latency 300ms"
        _run("tc", "qdisc", "replace", "dev", "lo", "root", "tbf", *limit.split())


def add_address(address: str) -> None:
    """One more of this machine's addresses, within 10.9.0.0/24."""
    _run("ip", "address", "add", f"{address}/24", "dev", "benchmark")


def keep_apart(source: str, destination: str) -> None:
    """Let no UDP through from one address to another, as if there were no way."""
    rule = f"ip saddr {source} ip daddr {destination} meta l4proto udp drop"
    _run("nft", "add", "rule", *CHAIN.split(), *rule.split())


def cut(address: str) -> None:
    """From now on let nothing through, to this address or from it."""
    for direction in ("saddr", "daddr"):
        _run("nft", "add", "rule", *CHAIN.split(), "ip", direction, address, "drop")


def mend(address: str) -> None:
    """Undo ``cut``."""
    for line in _run("nft", "--handle", "list", "chain", *CHAIN.split()).splitlines():
        if f" {address} drop" in line:
            handle = line.rsplit(maxsplit=1)[1]
            _run("nft", "delete", "rule", *CHAIN.split(), "handle", handle)


def lost() -> int:
    """Packets lost since ``lose`` was last called."""
    listed = _run("nft", "list", "chain", *CHAIN.split()).split()
    return int(listed[listed.index("packets") + 1])


def _run(*command: str) -> str:
    if MARK not in os.environ:
        raise BenchmarkError("packets are lost in a namespace of the benchmark's own only")
    try:
        # Where Debian has them, and the PATH of a user has not.
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        ran = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
        )
        return ran.stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise BenchmarkError(
            f"{' '.join(command)!r} failed: {said.strip()}. Loss needs root, or namespaces for "
            "users, and Debian's packages iproute2 and nftables"
        ) from error
