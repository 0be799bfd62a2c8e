"""Key pairs: who may see and change whose, and the key that an instance gets."""

from typing import Final

from actors.model.errors import Invalid, NotFound
from actors.model.identity import Principal, Role
from actors.model.ids import RequestId, UserId
from actors.model.keypair import ImportKeypair, Keypair, read_public_key
from actors.ports.compute import Keypairs
from gateway.app.auth import is_admin, need_role
from gateway.app.pages import Listed, Pager, PageRequest, page_of
from gateway.app.tokens import Signer

#: Stands for the caller in names.
ME: Final = UserId("me")


class KeypairCases:
    """What can be asked of key pairs."""

    def __init__(self, keypairs: Keypairs, signer: Signer) -> None:
        self._keypairs = keypairs
        self._signer = signer

    async def create(
        self, caller: Principal, user: UserId, name: str, public_key: str, request_id: RequestId
    ) -> Keypair:
        """Import a public key; durable when it returns.

        Raises:
            NotFound: Another user.
            Forbidden: A reader.
            Invalid: It is no key.
            AlreadyExists: The user has another one of this name.
            QuotaExceeded: The user has as many as one may have.
            pydantic.ValidationError: The name breaks a limit of ``ImportKeypair``.
        """
        whose = _user(caller, user)
        need_role(caller, Role.MEMBER)
        command = ImportKeypair(user=whose, name=name, request_id=request_id, public_key=public_key)
        # Said here, before a hop is made for it.
        read_public_key(public_key)
        return await self._keypairs.import_keypair(command)

    async def get(self, caller: Principal, user: UserId, name: str) -> Keypair:
        """One key pair.

        Raises:
            NotFound: The user has none of this name, or it is another user's.
        """
        try:
            whose = _user(caller, user)
        except NotFound:
            raise _unknown(name) from None
        for keypair in await self._keypairs.keypairs(whose):
            if keypair.name == name:
                return keypair
        raise _unknown(name)

    async def list(self, caller: Principal, user: UserId, request: PageRequest) -> Listed[Keypair]:
        """A user's key pairs, by name.

        Raises:
            NotFound: Another user.
            Invalid: The page request is wrong.
        """
        whose = _user(caller, user)
        return page_of(
            await self._keypairs.keypairs(whose),
            lambda keypair: (keypair.name,),
            Pager(self._signer, "keypairs", whose),
            request,
        )

    async def delete(self, caller: Principal, user: UserId, name: str) -> None:
        """Forget a key pair; durable when it returns. Instances keep their copy.

        Raises:
            NotFound: The user has none of this name, or it is another user's.
            Forbidden: A reader.
        """
        try:
            whose = _user(caller, user)
        except NotFound:
            raise _unknown(name) from None
        need_role(caller, Role.MEMBER)
        await self._keypairs.delete_keypair(whose, name)

    async def public_key(self, caller: Principal, name: str, field: str = "key_name") -> str:
        """What an instance is given when its owner names a key: a copy of the caller's own key.

        Nova copies it as well (``instances.key_data``), so that it outlives the key pair.

        Raises:
            Invalid: ``KEYPAIR_NOT_FOUND`` in this field: the caller has none of this name.
        """
        try:
            return (await self.get(caller, ME, name)).public_key
        except NotFound as error:
            # Named in a request for something else: a wrong field (Nova answers 400, too).
            raise Invalid(
                error.message, error.reason, error.detail, {field: "could not be found"}
            ) from None


def _user(caller: Principal, user: UserId) -> UserId:
    if user in (ME, caller.user):
        return caller.user
    if is_admin(caller):
        return user
    raise NotFound(f"User {user} could not be found.", "USER_NOT_FOUND", "", {"user": user})


def _unknown(name: str) -> NotFound:
    return NotFound(
        f"Key pair {name} could not be found.", "KEYPAIR_NOT_FOUND", "", {"keypair": name}
    )
