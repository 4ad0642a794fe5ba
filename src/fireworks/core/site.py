"""Where the user built a stage: the file and line that errors point at."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = str(Path(__file__).parent.parent) + os.sep


def is_ours(file: str) -> bool:
    """Tell whether a source file belongs to fireworks."""
    return file.startswith(_PACKAGE)


def user_line() -> str:
    """Return ``file:line`` of the nearest caller outside fireworks."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
