"""How much one guest may ask for. Pure."""

from typing import Final

#: cloud-init reads all there is within a second: some 60 answers.
_MOST: Final = 300.0
_A_SECOND: Final = 30.0


class Allowance:
    """A token bucket: so many at once, then so many a second."""

    __slots__ = ("_left", "_seen")

    def __init__(self, now: float) -> None:
        self._left = _MOST
        self._seen = now

    def take(self, now: float) -> bool:
        """Take one, if there is one. ``now`` is monotonic, in seconds."""
        self._left = min(_MOST, self._left + (now - self._seen) * _A_SECOND)
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
