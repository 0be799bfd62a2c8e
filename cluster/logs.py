"""The log of one actor: INFO and up go to its process's own file among Ray's logs."""

import logging
import sys
from typing import Any, Final, TypeVar

_FORMAT: Final = "%(asctime)s %(levelname)-7s {actor} %(name)s: %(message)s"

Actor = TypeVar("Actor")


def start(actor: str) -> None:
    """Log to standard error, which Ray keeps in a file for each process (``worker-….err``)."""
    logging.basicConfig(
        level=logging.INFO, format=_FORMAT.format(actor=actor), stream=sys.stderr, force=True
    )


def logged(actor: type[Actor], name: str) -> type[Actor]:
    """The same class, whose process logs under this name from the first line on."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        start(name)
        logging.getLogger(actor.__module__).info("%s starts", name)
        actor.__init__(self, *args, **kwargs)

    # Its own name shows in Ray's dashboard and as the title of the process. No module has it, so it
    # is sent by value: a reference to the class it stands on, and the lines above.
    return type(actor.__name__, (actor,), {"__init__": __init__, "__module__": actor.__module__})
