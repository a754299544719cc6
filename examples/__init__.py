"""The examples: each a program of its own, short enough to read in a minute.

``python -m rtcstream`` serves all of them as a gallery, ``python -m rtcstream NAME`` one. A
module's docstring begins with the sentence that the gallery shows; ``stream`` or ``app`` is what
is served.
"""
