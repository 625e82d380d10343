"""The local certificate authority and the one server certificate that every TLS listener on this machine shows."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

#: Browsers refuse server certificates that live longer than 398 days (CA/Browser Forum BR 6.3.2).
SERVER_DAYS = 397
CA_DAYS = 3650
RENEW_BEFORE_DAYS = 30


def ensure(directory: Path) -> None:
    """Make ca.pem, server.pem and server.key, or renew them a month before they expire."""
    # Only here: a start that finds good certificates by their age does not pay for the import.
    if not _due(directory):
        return
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.now(UTC)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lotPro on this machine")])
    this_machine = [
        x509.DNSName("localhost"), x509.IPAddress(ip_network("127.0.0.0/8")), x509.IPAddress(ip_network("::1/128")),
    ]
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )
    authority = (
        x509.CertificateBuilder()
        .subject_name(authority_name)
        .issuer_name(authority_name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        # Whoever trusts this authority trusts it for this machine only.
        .add_extension(x509.NameConstraints(this_machine, None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1"))]
    server = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(authority_name)
        .public_key(server_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=SERVER_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    key = directory / "server.key"
    key.touch(0o600)
    # The authority's own key is not kept: nothing else can ever be signed with it.
    key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (directory / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (directory / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))


def _due(directory: Path) -> bool:
    """True when a file is missing or the server certificate was written too long ago."""
    files = [directory / name for name in ("server.key", "server.pem", "ca.pem")]
    if not all(file.exists() for file in files):
        return True
    age = datetime.now(UTC) - datetime.fromtimestamp(files[1].stat().st_mtime, UTC)
    return age > timedelta(days=SERVER_DAYS - RENEW_BEFORE_DAYS)
