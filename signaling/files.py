"""Files that are asked for by their name."""

from contextlib import suppress
from pathlib import Path


def file_in(folder: Path, name: str) -> Path | None:
    """The file of this name, or None of what is not there, or is not in the folder."""
    with suppress(OSError, ValueError):  # missing, too long, or with a NUL in it
        path = (folder / name).resolve(strict=True)
        if path.is_relative_to(folder.resolve()) and path.is_file():
            return path
    return None
