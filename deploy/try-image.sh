#!/usr/bin/env bash
# The steps of deploy/Dockerfile in an empty Debian made by debootstrap, where there is no Docker:
# install, serve without root, health check, graceful stop. As root, from anywhere:
#   deploy/try-image.sh [FOLDER]
# PYTHON makes the wheels and must be of the version that Debian has (3.11 in bookworm, the default).
set -euo pipefail

checkout=$(cd "$(dirname "$0")/.." && pwd)
root=${1:-$(mktemp -d /tmp/rtcstream-image.XXXXXX)}
suite=${SUITE:-bookworm}
python=${PYTHON:-python3}
port=${PORT:-18080}
server=

finish() {
    if [ -n "$server" ]; then kill -KILL "$server" 2>/dev/null || true; fi
    for each in dev/shm proc; do
        if mountpoint -q "$root/$each"; then umount "$root/$each"; fi
    done
    if [ -z "${KEEP:-}" ]; then rm -rf --one-file-system "$root"; fi
}
trap finish EXIT

inside() { chroot "$root" env -i PATH=/opt/rtcstream/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }

echo "== an empty $suite in $root"
debootstrap --variant=minbase --include=python3,python3-venv,libgl1,libglib2.0-0,libxcb1 \
    "$suite" "$root" >"$root.log" 2>&1 || { tail -20 "$root.log"; exit 1; }
rm -f "$root.log"
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm" && mount -t tmpfs tmpfs "$root/dev/shm"

echo "== FROM build: the wheels, by $($python --version)"
"$python" -m pip --disable-pip-version-check wheel --quiet --wheel-dir "$root/wheels" \
    -c "$checkout/constraints.txt" "$checkout[metrics,uvloop]"
inside python3 -m venv /opt/rtcstream
inside pip install --quiet --no-index --find-links /wheels 'rtcstream[metrics,uvloop]'
rm -rf "$root/wheels"

echo "== USER 10001"
inside useradd --uid 10001 --shell /usr/sbin/nologin --home-dir /app --create-home rtcstream
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
du -sh --exclude=proc "$root" | sed 's/\t.*/ in all/'
du -sh "$root/opt/rtcstream" | sed 's/\t.*/ of it are rtcstream and what it needs/'

echo "== ENTRYPOINT"
chroot --userspec=10001:10001 "$root" env -i PATH=/opt/rtcstream/bin:/usr/bin:/bin \
    HOME=/app PYTHONUNBUFFERED=1 RTCSTREAM_ADMIN_TOKEN=only-for-this-trial-0123456789 \
    sh -c "cd /app && exec python -m rtcstream webcam_filter --host 127.0.0.1 --port $port \
    --drain-timeout 8 --log-format json --log-level info" &
server=$!

health="import urllib.request as u; u.urlopen('http://127.0.0.1:$port/healthz', timeout=2)"
for attempt in $(seq 100); do
    if inside python -c "$health" 2>/dev/null; then break; fi
    kill -0 "$server"
    sleep 0.2
done
echo "== HEALTHCHECK"
inside python -c "$health" && echo "healthy"
inside python -c "import urllib.request as u
print(u.urlopen('http://127.0.0.1:$port/readyz').read().decode())
text = u.urlopen('http://127.0.0.1:$port/metrics').read().decode()
print(*[line for line in text.splitlines() if line.startswith(('rtcstream_ready', 'process_res'))], sep='\n')"
test "$(stat -c %u "/proc/$server")" = 10001 && echo "as user 10001"

echo "== STOPSIGNAL"
kill -TERM "$server"
wait "$server" && status=0 || status=$?
server=
echo "ended with status $status"
test "$status" = 0
