"""What a guest has a say in: asked, asked again, and not for ever."""

from collections.abc import Awaitable, Callable
from typing import Final

from actors.ports.clock import Clock

#: A guest that refused may be able to since; one that boots does not hear, and is asked again.
_ASK_AGAIN_SECONDS: Final = 5.0
_GIVE_UP_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.1


async def agrees(
    look: Callable[[bool], Awaitable[bool]], check: Callable[[], None], clock: Clock
) -> bool:
    """Whether a guest has done what it is asked for, at most some time after it was asked first.

    Args:
        look: Whether it has; asks it for that where it is told to.
        check: Raises where nobody wants it any more.
        clock: The time.
    """
    begun = asked = clock.monotonic()
    ask = True
    while not await look(ask):
        now = clock.monotonic()
        if now - begun > _GIVE_UP_SECONDS:
            return False
        check()
        ask = now - asked > _ASK_AGAIN_SECONDS
        asked = now if ask else asked
        await clock.sleep(_LOOK_SECONDS)
    return True
