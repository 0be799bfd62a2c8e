"""The border of the gRPC server: what every call passes on its way in and out.

One interceptor for all of it, because each costs a coroutine per call: who calls (bearer token),
the request id, the deadline, and errors. A method's wrapped handler is made once, at its first
call.

* Nothing leaves but results and ``ComputeError``s. Anything else is INTERNAL with a request id to
  ask the operator for; what happened stands in the log under that id.
* A request that cannot be read, or is too large, is answered as any other error. So it is noticed
  here and not by gRPC, whose own answers carry no reason.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import to_status
from pydantic import ValidationError

from actors.model.errors import ComputeError, Expired, Internal, Invalid, TooLarge
from actors.model.identity import Principal, Role
from gateway.app.auth import Authenticator
from gateway.rpc.call import CALL, Call, Context, seconds_left
from gateway.rpc.problems import invalid_request, status_of, unsupported

_LOG = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
#: A unary call that names no deadline gets this one, seconds.
DEFAULT_DEADLINE: Final = 60.0
#: A caller that streams its request says something at least so often, seconds.
STREAM_PATIENCE: Final = 60.0
REQUEST_ID_HEADER: Final = "x-request-id"

#: Need no token: they say nothing of anybody's.
_OPEN: Final = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",
    "/novaray.v1.VersionService/",
)
#: Their first request may carry a token of its own: who sends no other is let in, and asked there.
_TOKEN_INSIDE: Final = ("/novaray.v1.ConsoleService/AttachConsole",)
#: Not ours; they answer in their own way.
_FOREIGN: Final = _OPEN[:2]
_MAX_REQUEST_ID: Final = 128

Behaviour = Callable[[Message, Context], Awaitable[Message | None]]
StreamedBehaviour = Callable[[AsyncIterator[Any], Context], Awaitable[Message | None]]
Exchange = Callable[[AsyncIterator[Any], Context], Awaitable[None]]
# In quotes: only its type stubs know that it is generic.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class NotServed(Exception):
    """A method of a service of ours that this server does not offer."""


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """Stands for a request that could not be read."""

    error: ComputeError


class _Method(Protocol):
    """What gRPC keeps of a method; ``grpc.RpcMethodHandler`` as it is at run time."""

    request_deserializer: Callable[[bytes], Message]
    response_serializer: Callable[[Message], bytes]
    unary_unary: Behaviour | None
    unary_stream: Behaviour | None
    stream_unary: StreamedBehaviour | None
    stream_stream: Exchange | None


class Border(grpc.aio.ServerInterceptor):
    """The one interceptor."""

    def __init__(
        self,
        auth: Authenticator,
        default_deadline: float = DEFAULT_DEADLINE,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        stream_patience: float = STREAM_PATIENCE,
    ) -> None:
        self._auth = auth
        self._stream_patience = stream_patience
        self._default_deadline = default_deadline
        self._max_message_bytes = max_message_bytes
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """The wrapped handler of a method."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None:
            # Not kept: callers could fill the table with names they make up.
            return grpc.unary_unary_rpc_method_handler(_unknown(method))
        if method.startswith(_FOREIGN):
            return handler
        self._wrapped[method] = self._wrap(method, cast("_Method", handler))
        return self._wrapped[method]

    def _wrap(self, method: str, found: _Method) -> Handler:
        guard = _Guard(self._auth, method, self._default_deadline, self._stream_patience)
        if found.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                guard.unary(found.unary_unary), self._reader(found), found.response_serializer
            )
        if found.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(
                guard.streamed(found.stream_unary), self._reader(found), found.response_serializer
            )
        if found.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                guard.exchange(found.stream_stream), self._reader(found), found.response_serializer
            )
        assert found.unary_stream is not None, f"{method}: it has no behaviour"
        return grpc.unary_stream_rpc_method_handler(
            guard.stream(found.unary_stream), self._reader(found), found.response_serializer
        )

    def _reader(self, found: _Method) -> Callable[[bytes], Message | _Unreadable]:
        read, limit = found.request_deserializer, self._max_message_bytes

        def deserialize(data: bytes) -> Message | _Unreadable:
            if len(data) > limit:
                return _Unreadable(_too_large(len(data), limit))
            try:
                return read(data)
            except DecodeError as error:
                return _Unreadable(_malformed(repr(error)))

        return deserialize


class _Guard:
    """What stands around the behaviour of one method."""

    def __init__(
        self, auth: Authenticator, method: str, default_deadline: float, stream_patience: float
    ) -> None:
        self._auth = auth
        self._method = method
        self._open = method.startswith(_OPEN)
        self._token_inside = method in _TOKEN_INSIDE
        self._default_deadline = default_deadline
        self._stream_patience = stream_patience

    def unary(self, behaviour: Behaviour) -> Behaviour:
        """Around a method with one answer: it always has a deadline."""

        async def guarded(request: Message | _Unreadable, context: Context) -> Message | None:
            try:
                await self._enter(context)
                if isinstance(request, _Unreadable):
                    raise request.error
                remaining = seconds_left(context)
                if remaining is None:
                    async with asyncio.timeout(self._default_deadline):
                        return await behaviour(request, context)
                if remaining <= 0:
                    raise Expired("The deadline had passed when the request arrived.")
                return await behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - the border: nothing else may cross
                await self._refuse(error, context)

        return guarded

    def stream(self, behaviour: Behaviour) -> Behaviour:
        """Around a method that writes its answers itself, for as long as the caller likes."""

        async def guarded(request: Message | _Unreadable, context: Context) -> None:
            try:
                await self._enter(context)
                if isinstance(request, _Unreadable):
                    raise request.error
                await behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - the border: nothing else may cross
                await self._refuse(error, context)

        return guarded

    def streamed(self, behaviour: StreamedBehaviour) -> StreamedBehaviour:
        """Around a method whose request is a stream: as long as it goes on."""

        async def guarded(
            requests: AsyncIterator[Message | _Unreadable], context: Context
        ) -> Message | None:
            try:
                await self._enter(context)
                return await behaviour(_readable(requests, self._stream_patience), context)
            except Exception as error:  # noqa: BLE001 - the border: nothing else may cross
                await self._refuse(error, context)

        return guarded

    def exchange(self, behaviour: Exchange) -> Exchange:
        """Around a method with a stream each way, for as long as both sides like."""

        async def guarded(requests: AsyncIterator[Message | _Unreadable], context: Context) -> None:
            try:
                await self._enter(context)
                await behaviour(_readable(requests, None), context)
            except Exception as error:  # noqa: BLE001 - the border: nothing else may cross
                await self._refuse(error, context)

        return guarded

    async def _enter(self, context: Context) -> None:
        authorization = given = None
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                authorization = value
            elif key == REQUEST_ID_HEADER:
                given = value
        call = _call(given)
        CALL.set(call)
        context.set_trailing_metadata(((REQUEST_ID_HEADER, call.request_id),))
        if not self._open and (authorization is not None or not self._token_inside):
            call.principal = await self._auth.principal(_text(authorization))

    async def _refuse(self, error: Exception, context: Context) -> NoReturn:
        call = CALL.get()
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, NotServed):
            status = unsupported(self._method, str(error))
        else:
            known = _known(error)
            if known is None:
                _LOG.error("request %s: %s failed", call.request_id, self._method, exc_info=error)
                known = _internal(call.request_id)
            elif known.detail:
                _LOG.info("request %s: %s: %s", call.request_id, self._method, known)
            status = status_of(known, admin=_is_admin(call.principal))
        await _abort(context, status, call.request_id)


async def _readable(
    requests: AsyncIterator[Message | _Unreadable], patience: float | None
) -> AsyncIterator[Message]:
    messages = aiter(requests)
    while True:
        try:
            async with asyncio.timeout(patience):
                request = await anext(messages)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Expired(f"Nothing came for {patience:g} seconds.", "STREAM_IDLE") from None
        if isinstance(request, _Unreadable):
            raise request.error
        yield request


def _known(error: Exception) -> ComputeError | None:
    """The error as one of ours, or None for a bug."""
    if isinstance(error, Internal):
        return None
    if isinstance(error, ComputeError):
        return error
    if isinstance(error, TimeoutError):
        return Expired("The request was not done within its deadline. What it began goes on.")
    if isinstance(error, ValidationError):
        return invalid_request(error)
    return None


async def _abort(context: Context, status: Status, request_id: str) -> NoReturn:
    made = to_status(status)
    await context.abort(
        made.code,
        made.details,
        (*made.trailing_metadata, (REQUEST_ID_HEADER, request_id)),
    )


def _call(given: str | bytes | None) -> Call:
    own = str(uuid.uuid4())
    text = _text(given)
    if text is None or not text.isprintable() or not 0 < len(text) <= _MAX_REQUEST_ID:
        return Call(own, own)
    # A caller may use one id for many calls: it says what belongs together, not what is the same.
    return Call(text, own)


def _unknown(method: str) -> Behaviour:
    async def refuse(_request: object, context: Context) -> None:
        shown = method[:_MAX_REQUEST_ID]
        status = unsupported(shown, f"This server has no method {shown}.")
        await _abort(context, status, str(uuid.uuid4()))

    return refuse


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _is_admin(principal: Principal | None) -> bool:
    return principal is not None and principal.role is Role.ADMIN


def _internal(request_id: str) -> Internal:
    return Internal(
        f"An internal error occurred. Tell the operator this request id: {request_id}.",
        "INTERNAL",
        "",
        {"request_id": request_id},
    )


def _too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"The request has {size} bytes; the limit is {limit}.",
        "MESSAGE_TOO_LARGE",
        "",
        {"size": str(size), "limit": str(limit)},
    )


def _malformed(detail: str) -> Invalid:
    return Invalid("The request is not a message of this method.", "MESSAGE_MALFORMED", detail)
