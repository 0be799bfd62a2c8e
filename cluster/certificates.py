"""The cluster's own certificate authority, and the gateway's certificate."""

import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster.files import write_private

_CA_DAYS: Final = 3650
_SERVER_DAYS: Final = 365
#: A certificate with less left than this is made anew.
_RENEW_DAYS: Final = 30
#: Clocks of clients may be behind.
_BACKDATED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where they lie. Keys are readable by their owner alone."""

    folder: Path

    @property
    def ca(self) -> Path:
        """What clients trust."""
        return self.folder / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Signs certificates of gateways."""
        return self.folder / "ca.key"

    @property
    def server(self) -> Path:
        """The gateway's certificate."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """Its key."""
        return self.folder / "server.key"


def server_names(address: str, host: str = "") -> tuple[str, ...]:
    """All names and addresses under which clients may reach a gateway on this node."""
    wanted = ("localhost", "127.0.0.1", host, socket.gethostname(), address)
    return tuple(dict.fromkeys(name for name in wanted if name and name not in ("0.0.0.0", "::")))  # noqa: S104


def ensure_certificates(folder: Path, names: tuple[str, ...], now: datetime | None = None) -> bool:
    """Make what is missing, has other names, or ends soon.

    Returns:
        Whether the server's certificate is new: a gateway that runs still has the old one.
    """
    now = now or datetime.now(UTC)
    files = Certificates(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ca = _ensure_ca(files, now)
    if _is_good(files, ca, names, now):
        return False
    _make_server(files, ca, names, now)
    return True


def _ensure_ca(files: Certificates, now: datetime) -> x509.Certificate:
    if files.ca.exists() and files.ca_key.exists():
        ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
        if _lasts(ca, now):
            return ca
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("novaray CA")
    public = key.public_key()
    ca = (
        _builder(name, name, public, now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, SHA256())
    )
    write_private(files.ca_key, _pem(key))
    write_private(files.ca, ca.public_bytes(Encoding.PEM), mode=0o644)
    return ca


def _is_good(
    files: Certificates, ca: x509.Certificate, names: tuple[str, ...], now: datetime
) -> bool:
    if not (files.server.exists() and files.server_key.exists()):
        return False
    found = x509.load_pem_x509_certificate(files.server.read_bytes())
    try:
        found.verify_directly_issued_by(ca)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is right
        return False
    told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(_alternatives(names)) <= set(told) and _lasts(found, now)


def _make_server(
    files: Certificates, ca: x509.Certificate, names: tuple[str, ...], now: datetime
) -> None:
    ca_key = load_pem_private_key(files.ca_key.read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name("novaray gateway"), ca.subject, key.public_key(), now, _SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, SHA256())
    )
    write_private(files.server_key, _pem(key))
    write_private(files.server, certificate.public_bytes(Encoding.PEM), mode=0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: tuple[str, ...]) -> list[x509.GeneralName]:
    return [_alternative(name) for name in names]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _lasts(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_after_utc - now > timedelta(days=_RENEW_DAYS)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
