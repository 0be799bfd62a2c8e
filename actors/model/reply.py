"""An answer that is a value or an error, for each item of a call that travels in a group.

Errors travel as values: one item's failure says nothing about its neighbours in the same call.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

from actors.model.errors import ComputeError, Internal

Value = TypeVar("Value")
Parameters = ParamSpec("Parameters")


@dataclass(frozen=True, slots=True)
class Ok(Generic[Value]):
    """It worked."""

    value: Value


@dataclass(frozen=True, slots=True)
class Err:
    """It did not."""

    error: ComputeError


Reply = Ok[Value] | Err


def unwrap(reply: Reply[Value]) -> Value:
    """The value.

    Raises:
        ComputeError: The reply is an error; this one.
    """
    match reply:
        case Ok(value):
            return value
        case Err(error):
            raise error


async def reply_to(
    call: Callable[Parameters, Awaitable[Value]],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Reply[Value]:
    """Make a call and fold its outcome.

    An error that is not ours becomes ``Internal``, with its words.
    """
    # The call is made in here: of a task that is cancelled before it begins nothing is left over.
    try:
        return Ok(await call(*args, **kwargs))
    except ComputeError as error:
        return Err(error)
    except Exception as error:  # noqa: BLE001 - the border of the actor: nothing else may cross
        return Err(Internal("An internal error occurred.", "INTERNAL", repr(error)))
