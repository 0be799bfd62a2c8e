"""Certificates: names, renewal, modes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from cluster.certificates import Certificates, ensure_certificates, server_names

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAMES = ("localhost", "127.0.0.1", "head.example", "192.0.2.7")


def _server(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Certificates(folder).server.read_bytes())


def test_it_is_signed_by_the_ca_and_names_the_node(tmp_path: Path) -> None:
    assert ensure_certificates(tmp_path, NAMES, NOW)
    files = Certificates(tmp_path)
    ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
    server = _server(tmp_path)
    server.verify_directly_issued_by(ca)
    told = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert told.get_values_for_type(x509.DNSName) == ["localhost", "head.example"]
    assert [str(one) for one in told.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "192.0.2.7",
    ]


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NAMES, NOW)
    files = Certificates(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in (files.ca_key, files.server_key)} == {0o600}


def test_what_is_good_stays(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NAMES, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert not ensure_certificates(tmp_path, NAMES, NOW + timedelta(days=300))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_one_that_ends_soon_is_renewed_under_the_same_ca(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NAMES, NOW)
    ca, serial = Certificates(tmp_path).ca.read_bytes(), _server(tmp_path).serial_number
    assert ensure_certificates(tmp_path, NAMES, NOW + timedelta(days=340))
    assert Certificates(tmp_path).ca.read_bytes() == ca
    assert _server(tmp_path).serial_number != serial


def test_a_new_name_takes_a_new_certificate(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NAMES, NOW)
    assert ensure_certificates(tmp_path, (*NAMES, "192.0.2.8"), NOW)


def test_one_of_another_ca_is_replaced(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NAMES, NOW)
    Certificates(tmp_path).ca.unlink()
    assert ensure_certificates(tmp_path, NAMES, NOW)


def test_no_certificate_is_for_all_addresses() -> None:
    assert "0.0.0.0" not in server_names("0.0.0.0")
    assert server_names("192.0.2.7")[:2] == ("localhost", "127.0.0.1")
