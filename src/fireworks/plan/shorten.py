"""Texts of a plan: short enough to read."""

from __future__ import annotations

_LONGEST = 60


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return a text with its middle left out where it is long, and without line breaks.

    Example:
        >>> shortened("Memory(3 rows: " + ", ".join("abcdefghijklmnopqrstuvwxyz") + ")", 30)
        'Memory(3 rows: a, b…, x, y, z)'
    """
    one_line = " ".join(text.split())
    if len(one_line) <= longest:
        return one_line
    tail = longest // 3
    return f"{one_line[: longest - tail - 1]}…{one_line[-tail:]}"


def bytes_text(count: float) -> str:
    """Return a number of bytes as people read it.

    Example:
        >>> bytes_text(999), bytes_text(4_200_000)
        ('999 B', '4.2 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
