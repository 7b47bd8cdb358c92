"""A self-made certificate is kept as long as it serves; what is wrong with one of the user's is said of its file."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from neuralbridge import certificate
from neuralbridge.certificate import Certificate, certificate_of, checked, context, self_made
from neuralbridge.errors import StartRefused
from neuralbridge.sections import Server, Tls

NAMES = ["localhost", "127.0.0.1", "desk.local"]


def names_of(made: Certificate) -> set[str]:
    names = x509.load_pem_x509_certificate(made.cert.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return {str(name.value) for name in names.value}


@pytest.fixture
def made(tmp_path: Path) -> Certificate:
    return self_made(tmp_path / "tls", NAMES)


def test_it_is_made_once_and_its_key_is_for_this_user_alone(made: Certificate) -> None:
    assert self_made(made.cert.parent, NAMES) == made
    assert [path.stat().st_mode & 0o777 for path in (made.cert.parent, made.key)] == [0o700, 0o600]
    assert {path.name for path in made.cert.parent.iterdir()} == {"cert.pem", "key.pem"}


def test_the_fingerprint_is_what_browsers_show(made: Certificate) -> None:
    der = ssl.PEM_cert_to_DER_cert(made.cert.read_text())
    digest = sha256(der).hexdigest().upper()
    assert made.fingerprint == ":".join(digest[at : at + 2] for at in range(0, 64, 2))


def test_it_is_kept_with_fewer_names_and_made_anew_for_another(made: Certificate) -> None:
    folder = made.cert.parent
    assert self_made(folder, NAMES[:1]) == made
    other = self_made(folder, [*NAMES, "192.168.1.20"])
    assert other.fingerprint != made.fingerprint
    assert names_of(other) == {*NAMES, "192.168.1.20"}


@pytest.mark.parametrize(("days", "kept"), [(31, True), (29, False), (-1, False)])
def test_it_is_made_anew_within_thirty_days_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, kept: bool
) -> None:
    monkeypatch.setattr(certificate, "LIFE", timedelta(days=days) + certificate.SKEW + timedelta(minutes=1))
    old = self_made(tmp_path / "tls", NAMES) if days > 0 else unchecked(tmp_path / "tls")
    monkeypatch.undo()
    assert (self_made(tmp_path / "tls", NAMES).fingerprint == old.fingerprint) == kept


def unchecked(folder: Path) -> Certificate:
    """One that is over already."""
    folder.mkdir()
    certificate.make(folder / "cert.pem", folder / "key.pem", NAMES)
    der = ssl.PEM_cert_to_DER_cert((folder / "cert.pem").read_text())
    return Certificate(folder / "cert.pem", folder / "key.pem", sha256(der).hexdigest())


@pytest.mark.parametrize("broken", ["cert.pem", "key.pem"])
@pytest.mark.parametrize(
    "content", [b"", b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_broken_one_is_made_anew(made: Certificate, broken: str, content: bytes) -> None:
    (made.cert.parent / broken).write_bytes(content)
    again = self_made(made.cert.parent, NAMES)
    assert again.fingerprint != made.fingerprint
    context(again)


def test_a_key_that_was_written_before_the_machine_went_down_is_made_anew(made: Certificate, tmp_path: Path) -> None:
    other = self_made(tmp_path / "other", NAMES)
    other.key.replace(made.key)
    (made.cert.parent / "cert.new").write_bytes(b"half")
    again = self_made(made.cert.parent, NAMES)
    assert again.fingerprint != made.fingerprint
    assert {path.name for path in made.cert.parent.iterdir()} == {"cert.pem", "key.pem"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(StartRefused, match=rf"^{tmp_path}/tls: the certificate cannot be written \("):
        self_made(tmp_path / "tls", NAMES)


def test_old_versions_of_tls_are_not_spoken(made: Certificate) -> None:
    assert context(made).minimum_version == ssl.TLSVersion.TLSv1_2


def test_the_settings_say_which(tmp_path: Path, made: Certificate) -> None:
    (tmp_path / "data").mkdir()
    own = certificate_of(Server(tls=Tls(self_made=True)), tmp_path / "data", tmp_path)
    assert own.cert == tmp_path / "data" / "tls" / "cert.pem"
    assert names_of(own) >= {"localhost", "127.0.0.1", "::1"}
    theirs = certificate_of(Server(tls=Tls(cert="tls/cert.pem", key="tls/key.pem")), tmp_path / "data", tmp_path)
    assert theirs == made


# One of the user's


def locked(pair: Certificate) -> None:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    locked = serialization.BestAvailableEncryption(b"secret")
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))


def of_another(pair: Certificate) -> None:
    self_made(pair.cert.parent / "other", NAMES).key.replace(pair.key)


def signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, begin: int, end: int) -> bytes:
    """A certificate from so many days from now to so many."""
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1)
        .not_valid_before(now + timedelta(days=begin))
        .not_valid_after(now + timedelta(days=end))
        .sign(key, hashes.SHA256())
    )
    return cert.public_bytes(serialization.Encoding.PEM)


def dated(begin: int, end: int) -> Callable[[Certificate], None]:
    def replace(pair: Certificate) -> None:
        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        pair.cert.write_bytes(signed(key, begin, end))

    return replace


WRONG: dict[str, tuple[Callable[[Certificate], object], str]] = {
    "no certificate": (lambda pair: pair.cert.unlink(), r"cert\.pem: cannot be read \(No such file or directory\)\."),
    "no key": (lambda pair: pair.key.unlink(), r"key\.pem: cannot be read \(No such file or directory\)\."),
    "another file": (lambda pair: pair.cert.write_bytes(b"\x30\x82"), r"cert\.pem: not a certificate; expected .* PEM"),
    "no private key": (
        lambda pair: pair.key.write_bytes(pair.cert.read_bytes()),
        r"key\.pem: not a private key; expected .* PEM",
    ),
    "a password": (locked, r"key\.pem: the key has a password; expected one without\."),
    "another's key": (of_another, r"key\.pem: not the key of the certificate .*cert\.pem\."),
    "over": (dated(-9, -2), r"cert\.pem: the certificate expired on \d{4}-\d\d-\d\d\."),
    "not yet": (dated(2, 9), r"cert\.pem: the certificate is not valid before \d{4}-\d\d-\d\d\."),
}


@pytest.mark.parametrize(("spoil", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_with_a_certificate_is_said_of_its_file(
    made: Certificate, spoil: Callable[[Certificate], object], said: str
) -> None:
    spoil(made)
    with pytest.raises(StartRefused, match=said):
        checked(made.cert, made.key)


def test_a_key_too_weak_for_openssl_is_said_of_the_certificate(made: Certificate) -> None:
    key = rsa.generate_private_key(65537, 1024)
    cert = signed(key, -1, 9)
    made.cert.write_bytes(cert)
    form = serialization.PrivateFormat.PKCS8
    made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    with pytest.raises(StartRefused, match=r"cert\.pem: the certificate cannot be used \(.*KEY_TOO_SMALL"):
        context(checked(made.cert, made.key))
