"""Opaque tokens that clients hand back: page tokens (AIP-158) and resume tokens.

A token is what it says and a signature over that and over what it is for. So a token that was
changed, or that belongs to another query, is refused, and nothing is kept for it here. All gateways
of a cluster share the secret: a token of one works at each.
"""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Final

_MAC_BYTES: Final = 16
#: Longer ones are not even looked at.
_MAX_LENGTH: Final = 1024

Text = str | int | bool | None


class Signer:
    """Makes and reads tokens."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _MAC_BYTES:
            raise ValueError(f"the secret must have at least {_MAC_BYTES} bytes")
        self._secret = secret

    def sign(self, content: tuple[Text, ...], purpose: tuple[Text, ...]) -> str:
        """A token with this content, good for this purpose only."""
        body = _dumps(content)
        return base64.urlsafe_b64encode(self._mac(body, purpose) + body).decode().rstrip("=")

    def read(self, token: str, purpose: tuple[Text, ...]) -> tuple[Text, ...]:
        """What ``sign`` was given.

        Raises:
            ValueError: Not a token, not ours, or for another purpose.
        """
        if len(token) > _MAX_LENGTH:
            raise ValueError("too long")
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("not base64") from None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body, purpose)):
            raise ValueError("the signature does not fit")
        return tuple(json.loads(body))

    def _mac(self, body: bytes, purpose: tuple[Text, ...]) -> bytes:
        scope = hashlib.sha256(_dumps(purpose)).digest()
        return hmac.digest(self._secret, scope + body, "sha256")[:_MAC_BYTES]


def _dumps(content: tuple[Text, ...]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
