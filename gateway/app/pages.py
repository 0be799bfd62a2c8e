"""Pages (AIP-158): how large, where the next begins, and the token that says so."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from actors.model.errors import Invalid
from actors.model.query import DEFAULT_PAGE, MAX_PAGE, Cursor
from gateway.app.tokens import Signer, Text

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a caller asks of a list: at most so many, from where."""

    size: int = 0
    token: str = ""

    @property
    def limit(self) -> int:
        """The size to answer with: 0 is our choice, too much is cut.

        Raises:
            Invalid: The size is negative.
        """
        if self.size < 0:
            raise Invalid(
                f"The page size is {self.size}; it must not be negative.",
                "PAGE_SIZE_INVALID",
                "",
                {"page_size": "must not be negative"},
            )
        return min(self.size, MAX_PAGE) or DEFAULT_PAGE


@dataclass(frozen=True, slots=True)
class Listed(Generic[Item]):
    """One page. ``token_after`` names any place in it, for a front end that must cut it shorter."""

    items: tuple[Item, ...]
    more: bool
    token_after: Callable[[Item], str]


class Pager:
    """Reads and makes page tokens of one list, asked in one way."""

    def __init__(self, signer: Signer, *query: Text) -> None:
        self._signer = signer
        self._purpose: tuple[Text, ...] = ("page", *query)

    def read(self, token: str) -> tuple[Text, ...] | None:
        """The position of a token; None for no token.

        Raises:
            Invalid: ``PAGE_TOKEN_INVALID``.
        """
        if not token:
            return None
        try:
            return self._signer.read(token, self._purpose)
        except ValueError as error:
            raise _token_invalid(str(error)) from None

    def token(self, *position: Text) -> str:
        """The token for the place behind this position."""
        return self._signer.sign(position, self._purpose)

    def cursor(self, token: str) -> Cursor | None:
        """The cursor of a token; None for no token.

        Raises:
            Invalid: ``PAGE_TOKEN_INVALID``.
        """
        content = self.read(token)
        if content is None:
            return None
        created, key = content
        return Cursor(created=datetime.fromisoformat(str(created)), id=str(key))

    def token_of(self, created: datetime, key: str) -> str:
        """The token for the place behind the item made then, with this id."""
        return self.token(created.isoformat(), key)


def page_of(
    items: Iterable[Item],
    key: Callable[[Item], tuple[Text, ...]],
    pager: Pager,
    request: PageRequest,
) -> Listed[Item]:
    """A page of a short list that is all here. The key sorts it and says where a page ended.

    So a page stays where it was when items before it come or go.
    """
    limit = request.limit
    after = pager.read(request.token)
    ordered = sorted(items, key=key)
    if after is not None:
        ordered = [item for item in ordered if _behind(key(item), after)]
    return Listed(
        tuple(ordered[:limit]), len(ordered) > limit, lambda item: pager.token(*key(item))
    )


def _behind(key: tuple[Text, ...], after: tuple[Text, ...]) -> bool:
    # The same list made both, so the types agree place by place.
    return key > after


def _token_invalid(detail: str) -> Invalid:
    return Invalid(
        "The page token is not valid for this list. Use the token of the page before, with the "
        "same filter, or begin again without one.",
        "PAGE_TOKEN_INVALID",
        detail,
        {"page_token": "is not a token of this list"},
    )
