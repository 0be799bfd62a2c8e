"""Who is calling, and what they may do.

A thing of another project does not exist for a caller (AIP-211 allows either answer; this one tells
nothing). Admins see every project.
"""

import hashlib
import time
from typing import Final

from actors.model.errors import Forbidden, NotFound, Unauthenticated
from actors.model.identity import Principal, Role
from actors.model.ids import ProjectId
from actors.ports.compute import Identity
from gateway.app.cache import Monotonic, Remembered

#: How long a revoked token still works at this gateway, seconds.
TOKEN_MAX_AGE: Final = 5.0
_TOKENS_REMEMBERED: Final = 1024

#: Stands for all projects (AIP-159).
ALL_PROJECTS: Final = ProjectId("-")


class Authenticator:
    """Bearer tokens to principals. Only the SHA-256 of a token goes further than here."""

    def __init__(
        self,
        identity: Identity,
        max_age: float = TOKEN_MAX_AGE,
        now: Monotonic = time.monotonic,
    ) -> None:
        # Unknown tokens are not remembered: a token works from the moment it is made.
        self._principals = Remembered[str, Principal](
            identity.principal, max_age, _TOKENS_REMEMBERED, now
        )

    async def principal(self, authorization: str | None) -> Principal:
        """The holder of the token in an ``authorization`` header.

        Raises:
            Unauthenticated: No header, not a bearer token, or nobody's token.
        """
        if not authorization:
            raise no_token()
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(
                "The authorization metadata is not 'Bearer <token>'.", "TOKEN_MALFORMED"
            )
        digest = hashlib.sha256(token.encode()).hexdigest()
        principal = self._principals.peek(digest) or await self._principals.get(digest)
        if principal is None:
            raise Unauthenticated(
                "The bearer token is not valid. Ask an administrator for a new one.",
                "TOKEN_UNKNOWN",
            )
        return principal


def no_token() -> Unauthenticated:
    """What callers hear who do not say who they are."""
    return Unauthenticated(
        "No bearer token was sent. Send the metadata 'authorization: Bearer <token>'.",
        "TOKEN_MISSING",
    )


def is_admin(caller: Principal) -> bool:
    """Whether the caller sees every project and the hosts."""
    return caller.role is Role.ADMIN


def need_role(caller: Principal, needed: Role) -> None:
    """Let the caller pass, or refuse.

    Raises:
        Forbidden: The role does not cover it.
    """
    if caller.role is Role.ADMIN or caller.may(needed):
        return
    raise Forbidden(
        f"This needs the role {needed.value}; the token has the role {caller.role.value}.",
        "ROLE_MISSING",
        "",
        {"needed": needed.value, "role": caller.role.value},
    )


def need_project(caller: Principal, project: ProjectId) -> None:
    """Let callers into their own project; admins into any.

    Raises:
        NotFound: Not theirs.
    """
    if project == caller.project or caller.role is Role.ADMIN:
        return
    raise NotFound(
        f"Project {project} could not be found.", "PROJECT_NOT_FOUND", "", {"project": project}
    )


def project_scope(caller: Principal, project: ProjectId) -> ProjectId | None:
    """The project to look in; None for all of them (``projects/-``, admins only).

    Raises:
        Forbidden: All projects, by somebody who is no admin.
        NotFound: Another project than the caller's.
    """
    if project == ALL_PROJECTS:
        need_role(caller, Role.ADMIN)
        return None
    need_project(caller, project)
    return project
