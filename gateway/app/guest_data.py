"""What a new guest is told: checked, and made where the caller leaves it to us."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import shake_256
from typing import Final

from actors.model.errors import Invalid
from actors.model.guest_data import USER_DATA_LIMIT, GuestData
from actors.model.hostname import HOSTNAME_LIMIT, hostname_for, is_hostname
from actors.model.identity import Principal
from actors.model.ids import InstanceId, RequestId, operation_id
from gateway.app.keypairs import KeypairCases

#: Nova's (``utils.DEFAULT_PASSWORD_SYMBOLS``): none that is read as another. A password has one of
#: each at least.
_SYMBOLS: Final = ("23456789", "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnopqrstuvwxyz")
_PASSWORD_LENGTH: Final = 12
_ALL_SYMBOLS: Final = "".join(_SYMBOLS)


@dataclass(frozen=True, slots=True)
class NewGuestData:
    """What a caller wants its guest to be told; nothing of it is checked yet."""

    key_name: str = ""
    user_data: bytes = b""
    #: Content by absolute path.
    files: Mapping[str, bytes] = field(default_factory=dict)
    admin_password: str = ""


class GuestDataMaker:
    """Makes the guest data of a create, and what else a guest is named by."""

    def __init__(self, keypairs: KeypairCases, secret: bytes, *, force_config_drive: bool) -> None:
        """Know what is the same for all guests.

        Args:
            keypairs: Where callers' keys are.
            secret: Passwords are made with it; the same at all gateways of a cluster.
            force_config_drive: Whether every instance has a config drive.
        """
        self._keypairs = keypairs
        self._secret = secret
        self._force_config_drive = force_config_drive

    async def make(
        self,
        caller: Principal,
        new: NewGuestData,
        instance: InstanceId,
        request: RequestId,
        key_field: str = "instance.key_name",
    ) -> GuestData:
        """A version of a guest's data, the first or a later one.

        ``key_field`` is where the request names the key.

        Raises:
            Invalid: The user data is too large, or the caller has no such key pair.
            pydantic.ValidationError: A field breaks a limit of ``GuestData``.
        """
        text = base64.b64encode(new.user_data).decode()
        if len(text) > USER_DATA_LIMIT:
            raise _invalid(
                "user_data",
                f"has {len(text)} bytes in base64; a guest can be given {USER_DATA_LIMIT}",
                "USER_DATA_TOO_LARGE",
            )
        key = ""
        if new.key_name:
            key = await self._keypairs.public_key(caller, new.key_name, key_field)
        return GuestData(
            id=operation_id(instance, 1),
            instance=instance,
            public_key=key,
            user_data=text,
            files={path: base64.b64encode(data).decode() for path, data in new.files.items()},
            admin_password=new.admin_password or self.password(instance, request),
        )

    def config_drive(self, asked: bool) -> bool:
        """Whether an instance has a config drive."""
        return asked or self._force_config_drive

    def password(self, instance: InstanceId, request: RequestId) -> str:
        """The password of the guest's administrator that this request brings.

        Made of the request with the cluster's secret, so that a request that is sent again is
        answered with the same.
        """
        tries = 0
        while True:
            text = f"admin password/{instance}/{request}/{tries}".encode()
            number = int.from_bytes(shake_256(self._secret + text).digest(32), "big")
            password = ""
            for _ in range(_PASSWORD_LENGTH):
                number, index = divmod(number, len(_ALL_SYMBOLS))
                password += _ALL_SYMBOLS[index]
            if all(set(password) & set(symbols) for symbols in _SYMBOLS):
                return password
            tries += 1


def hostname_of(asked: str, name: str, instance: InstanceId) -> str:
    """What the guest is to call itself: what the caller says, else what its name gives.

    Raises:
        Invalid: ``HOSTNAME_INVALID``: it is no DNS label.
    """
    if not asked:
        return hostname_for(name, instance)
    if not is_hostname(asked):
        raise _invalid(
            "instance.hostname",
            f"must have 1 to {HOSTNAME_LIMIT} letters, digits and hyphens, no hyphen at an end",
            "HOSTNAME_INVALID",
        )
    return asked


def _invalid(name: str, problem: str, reason: str) -> Invalid:
    return Invalid(f"The field {name} {problem}.", reason, "", {name: problem})
