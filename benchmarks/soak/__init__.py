"""Whether a server can be left running: thousands of sessions, and everything that goes wrong.

``python -m benchmarks.soak`` does both; ``tests/test_soak.py`` a short version of each.
"""
