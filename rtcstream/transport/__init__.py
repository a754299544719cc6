"""All that reaches inside aiortc and aioice, one file a concern.

Each private name that is touched here has a contract test in ``tests/test_contracts*.py``, so that
an upgrade fails in a test and not in a call.
"""
