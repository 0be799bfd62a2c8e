"""A guest's console on a person's terminal.

What a guest writes is not to be trusted: escape sequences can retitle a window, move the cursor
over what others wrote, or have the terminal answer as if the user typed. Colours pass, the rest
does not. Into a pipe or a file goes every byte as it came.
"""

import codecs
import re
from typing import Final

#: ESC [ … m: colours and weight.
_COLOUR: Final = r"\x1b\[[0-9;:]*m"
_SEQUENCE: Final = re.compile(
    rf"(?P<colour>{_COLOUR})"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"  # two or three characters
    r"|[\x00-\x08\x0b-\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"  # control characters but \t \n \r ESC
    r"|\x1b"  # one that begins nothing
)
#: What may be the beginning of a sequence whose rest has not come yet. Bounded: a guest must not
#: have us keep whatever it writes.
_OPEN: Final = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|[\]PX^_][^\x07\x1b]{0,512}\x1b?|[ -/]{0,8})?\Z"
)


class ConsoleText:
    """Makes pieces of a console log fit for a terminal; remembers what a piece left open."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._open = ""

    def take(self, data: bytes, *, last: bool = False) -> str:
        """The text of the next piece."""
        text = self._open + self._decoder.decode(data, final=last)
        self._open = ""
        if not last and (unfinished := _OPEN.search(text)):
            self._open = text[unfinished.start() :]
            text = text[: unfinished.start()]
        text = text.replace("\r\n", "\n")
        return _SEQUENCE.sub(lambda match: match["colour"] or "", text)


def plain(data: bytes) -> str:
    """The text of console bytes without any escape sequence, for JSON."""
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    return _SEQUENCE.sub("", text)
