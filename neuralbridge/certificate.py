"""The certificate that an encrypted server shows: the user's, or one that it makes for itself and keeps.

A self-made one is known by its fingerprint alone. It can sign no other (CA:FALSE), so a device that trusts it trusts
nothing else.
"""

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from neuralbridge import machine
from neuralbridge.errors import StartRefused
from neuralbridge.sections import Server

LIFE = timedelta(days=397)  # the most that browsers take of any certificate
RENEWED_BEFORE = timedelta(days=30)
SKEW = timedelta(days=1)  # of the clocks that look at it
ALWAYS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as files that fit each other."""

    cert: Path
    key: Path
    fingerprint: str


def certificate_of(server: Server, data: Path, home: Path) -> Certificate:
    """The certificate of the settings, whose paths start at `home`; a self-made one is kept below `data`.

    Raises StartRefused naming the file that cannot be used.
    """
    if server.tls.cert is not None and server.tls.key is not None:
        return checked(home / server.tls.cert, home / server.tls.key)
    return self_made(data / "tls", [*ALWAYS, *machine.names(), *map(str, machine.addresses(server.host))])


def context(certificate: Certificate) -> ssl.SSLContext:
    """What a server listens with. Raises StartRefused."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    try:
        made.load_cert_chain(certificate.cert, certificate.key)
    except (ssl.SSLError, OSError) as error:
        raise StartRefused(f"{certificate.cert}: the certificate cannot be used ({error}).") from error
    return made


def checked(cert_path: Path, key_path: Path) -> Certificate:
    """A certificate that is valid today, and whose key this is. Raises StartRefused."""
    try:
        cert = x509.load_pem_x509_certificates(read(cert_path))[0]
    except ValueError as error:
        raise StartRefused(f"{cert_path}: not a certificate; expected a file in PEM form.") from error
    try:
        key = serialization.load_pem_private_key(read(key_path), None)
    except TypeError as error:
        raise StartRefused(f"{key_path}: the key has a password; expected one without.") from error
    except ValueError as error:
        raise StartRefused(f"{key_path}: not a private key; expected a file in PEM form.") from error
    if cert.public_key() != key.public_key():
        raise StartRefused(f"{key_path}: not the key of the certificate {cert_path}.")
    now = datetime.now(UTC)
    if now > cert.not_valid_after_utc:
        raise StartRefused(f"{cert_path}: the certificate expired on {cert.not_valid_after_utc:%Y-%m-%d}.")
    if now < cert.not_valid_before_utc:
        raise StartRefused(f"{cert_path}: the certificate is not valid before {cert.not_valid_before_utc:%Y-%m-%d}.")
    return Certificate(cert_path, key_path, cert.fingerprint(hashes.SHA256()).hex(":").upper())


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartRefused(f"{path}: cannot be read ({error.strerror}).") from error


def self_made(folder: Path, names: Sequence[str]) -> Certificate:
    """The certificate in `folder`, made anew when it is broken, about to expire, or lacks one of these names.

    Names it has beyond these do no harm: a network that is away for a day should not change the fingerprint.
    """
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    if cert_path.exists() and key_path.exists():
        try:
            kept = checked(cert_path, key_path)
            if serves(x509.load_pem_x509_certificate(cert_path.read_bytes()), names):
                return kept
        except StartRefused:  # as one that was being written when the machine went down
            pass
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        make(cert_path, key_path, names)
    except OSError as error:
        raise StartRefused(f"{folder}: the certificate cannot be written ({error.strerror}).") from error
    return checked(cert_path, key_path)


def serves(cert: x509.Certificate, names: Sequence[str]) -> bool:
    """Whether it has all these names and some time to live."""
    has = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*map(general, names)} <= {*has} and datetime.now(UTC) < cert.not_valid_after_utc - RENEWED_BEFORE


def make(cert_path: Path, key_path: Path, names: Sequence[str]) -> None:
    """A new key and its certificate. The key comes first: one without the other is made anew at the next start."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "NeuralBridge")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now - SKEW + LIFE)
        .add_extension(x509.SubjectAlternativeName(list(map(general, dict.fromkeys(names)))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    write(key_path, key.private_bytes(pem, form, serialization.NoEncryption()))
    write(cert_path, cert.public_bytes(pem))


def write(path: Path, content: bytes) -> None:
    """For this user alone, and whole or not at all."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
