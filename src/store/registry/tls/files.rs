//! The files that TLS needs: certificates and keys in PEM (RFC 7468), and a registry's directory of them.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

use crate::error::Class;
use crate::store::listing::names_in;
use crate::store::{Location, Reason, StoreError, causes};
use crate::text::{escaped, shell_word};

/// A bundle of every public authority is a quarter of this.
const LARGEST: u64 = 1024 * 1024;

/// A directory for one registry holds a handful of files.
const MOST_FILES: usize = 1024;

/// What is wrong with a file.
pub(super) struct Fault {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Io(&'static str, io::Error),
    Unusable { reason: String, hint: Option<String> },
}

impl Fault {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { path: path.to_owned(), kind: Kind::Io(action, error) }
    }

    fn unusable(path: &Path, reason: impl Into<String>, hint: Option<String>) -> Self {
        Self { path: path.to_owned(), kind: Kind::Unusable { reason: reason.into(), hint } }
    }

    /// The complaint about a key that the user named without a certificate.
    pub(super) fn key_alone(path: &Path) -> Self {
        let hint = "name the certificate that it belongs to with --client-cert";
        Self::unusable(path, "a client key needs a client certificate", Some(hint.to_owned()))
    }

    /// The complaint about the library of ciphers, which has some of every version.
    pub(super) fn library(error: rustls::Error) -> Self {
        Self { path: "ring".into(), kind: Kind::Io("set up TLS with", io::Error::other(error)) }
    }

    /// Says for which registry the file was read.
    pub(super) fn at(self, place: &Location) -> StoreError {
        match self.kind {
            Kind::Io(action, error) => StoreError::io(action, self.path)(error),
            Kind::Unusable { reason, hint } => StoreError::Remote {
                action: format!("use {} for", escaped(&self.path.to_string_lossy())),
                place: place.clone(),
                class: Class::Content,
                reason: Reason(reason),
                hint,
            },
        }
    }

    /// Takes it apart for whoever says it in other words: the file, what that means to a script, what is wrong, and what to do.
    pub(super) fn apart(self) -> (PathBuf, Class, String, Option<String>) {
        match self.kind {
            Kind::Io(action, source) => {
                let error = StoreError::Io { action, path: self.path.clone(), source };
                (self.path, error.class(), causes(&error).join(": "), error.hint())
            }
            Kind::Unusable { reason, hint } => (self.path, Class::Content, reason, hint),
        }
    }

    /// Says it where the file is not for one registry.
    pub(super) fn without_place(self) -> StoreError {
        match self.kind {
            Kind::Io(action, error) => StoreError::io(action, self.path)(error),
            Kind::Unusable { reason, .. } => {
                StoreError::io("use", self.path)(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
        }
    }
}

/// What the directory of a registry holds (containers-certs.d(5)).
#[derive(Default)]
pub(super) struct Found {
    /// `*.crt`, by name.
    pub(super) authorities: Vec<PathBuf>,
    /// `*.cert`, by name.
    certificates: Vec<PathBuf>,
    /// `*.key`, by name.
    keys: Vec<PathBuf>,
}

impl Found {
    /// Returns the first client certificate by name with its key. All must be whole: half a pair is a mistake, and which
    /// one was meant cannot be known.
    pub(super) fn pair(&self) -> Result<Option<(PathBuf, PathBuf)>, Fault> {
        for (present, others, extension, hint) in [
            (&self.certificates, &self.keys, "key", "put it there, or name an authority's certificate *.crt"),
            (&self.keys, &self.certificates, "cert", "put it there: a client certificate is named *.cert, not *.crt"),
        ] {
            for path in present {
                let other = path.with_extension(extension);
                if !others.contains(&other) {
                    let reason = format!("{} is missing beside it", escaped(&other.to_string_lossy()));
                    return Err(Fault::unusable(path, reason, Some(hint.to_owned())));
                }
            }
        }
        Ok(self.certificates.first().map(|certificate| (certificate.clone(), certificate.with_extension("key"))))
    }
}

/// Looks into the first of some directories that has a directory for a host. One that may not be read is passed over: the
/// machine's are often root's alone.
pub(super) fn for_host(host: &str, directories: &[PathBuf]) -> Result<Found, Fault> {
    if !is_plain(host) {
        return Ok(Found::default());
    }
    for directory in directories {
        let path = directory.join(host);
        match list(&path) {
            Ok(found) => return Ok(found),
            Err(Fault { kind: Kind::Io(_, error), .. })
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(Found::default())
}

/// Whether a host is what a host can be: then its directory lies right below the one for all.
fn is_plain(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    host.len() <= 255 && host.bytes().all(allowed) && host.bytes().any(|byte| byte != b'.')
}

fn list(directory: &Path) -> Result<Found, Fault> {
    let mut found = Found::default();
    let names = names_in(directory).map_err(Fault::io("read", directory))?;
    if names.len() > MOST_FILES {
        let reason = format!("it holds more than {MOST_FILES} files");
        return Err(Fault::unusable(directory, reason, None));
    }
    for name in names {
        let path = directory.join(name);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => found.authorities.push(path),
            Some("cert") => found.certificates.push(path),
            Some("key") => found.keys.push(path),
            _ => {}
        }
    }
    for paths in [&mut found.authorities, &mut found.certificates, &mut found.keys] {
        paths.sort();
    }
    Ok(found)
}

/// Reads the certificates of authorities. In a bundle, what TLS can make nothing of is left out as long as something stays.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let mut found = certificates(path, &read(path)?)?;
    found.retain(|found| RootCertStore::empty().add(found.clone()).is_ok());
    if found.is_empty() {
        return Err(Fault::unusable(path, "what stands between its PEM lines is no certificate", None));
    }
    Ok(found)
}

/// Reads a client certificate and its key, from the same file when there is no other.
pub(super) fn client(certificate: &Path, key: Option<&Path>, provider: &CryptoProvider) -> Result<CertifiedKey, Fault> {
    identity(certificate, key, "--client-key", provider)
}

/// Reads a certificate and its key, from the same file when there is no other; `option` is what names that.
pub(super) fn identity(
    certificate: &Path,
    key: Option<&Path>,
    option: &str,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Fault> {
    let raw = read(certificate)?;
    let chain = certificates(certificate, &raw)?;
    let (key, raw) = match key {
        Some(key) => (key, read(key)?),
        None => (certificate, raw),
    };
    match CertifiedKey::from_der(chain, private_key(key, &raw, option)?, provider) {
        Ok(pair) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let certificate = escaped(&certificate.to_string_lossy());
            Err(Fault::unusable(key, format!("the key is not that of the first certificate in {certificate}"), None))
        }
        Err(rustls::Error::InvalidCertificate(_)) => {
            let word = shell_word(&certificate.to_string_lossy());
            let hint = format!("openssl x509 -in {word} -noout -text shows what it is");
            let reason = "its first certificate is damaged, or not of X.509 version 3";
            Err(Fault::unusable(certificate, reason, Some(hint)))
        }
        Err(_) => {
            let hint = "use RSA with 2048 to 4096 bits, ECDSA with P-256 or P-384, or Ed25519".to_owned();
            Err(Fault::unusable(key, "its key is damaged, or of a kind that is not supported", Some(hint)))
        }
    }
}

fn certificates(path: &Path, raw: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(raw).collect();
    let found = found.map_err(|error| damaged(path, &error))?;
    if found.is_empty() {
        return Err(nothing(path, raw, "certificate", "CERTIFICATE", "x509"));
    }
    Ok(found)
}

fn private_key(path: &Path, raw: &[u8], option: &str) -> Result<PrivateKeyDer<'static>, Fault> {
    // a password is nothing that a program without a terminal could ask for
    if contains(raw, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(raw, b"Proc-Type: 4,ENCRYPTED") {
        let word = shell_word(&path.to_string_lossy());
        let hint = format!("write it without a password: openssl pkey -in {word} -out PLAIN.key");
        return Err(Fault::unusable(path, "its private key is encrypted", Some(hint)));
    }
    match PrivateKeyDer::from_pem_slice(raw) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if contains(raw, b"-----BEGIN CERTIFICATE-----") => {
            let hint = Some(format!("the key is in a file of its own: give that with {option} FILE"));
            Err(Fault::unusable(path, "it holds a certificate, and no private key", hint))
        }
        Err(pem::Error::NoItemsFound) => Err(nothing(path, raw, "private key", "PRIVATE KEY", "pkey")),
        Err(error) => Err(damaged(path, &error)),
    }
}

/// The complaint about a file without what it was read for: `program` is that of OpenSSL which makes PEM of DER.
fn nothing(path: &Path, raw: &[u8], what: &str, label: &str, program: &str) -> Fault {
    let short = |length: u8| length < 0x80 && raw.len() == usize::from(length) + 2;
    let word = shell_word(&path.to_string_lossy());
    let (reason, hint) = match raw {
        [] => ("it is empty".to_owned(), None),
        // a sequence that begins with the version 3
        [0x30, 0x82, _, _, 2, 1, 3, ..] => (
            "it is PKCS#12, and PEM is expected".to_owned(),
            Some(format!("convert it: openssl pkcs12 -nodes -in {word} -out FILE.pem")),
        ),
        [0x30, length, ..] if matches!(length, 0x80..=0x84) || short(*length) => (
            "it is DER, and PEM is expected".to_owned(),
            Some(format!("convert it: openssl {program} -inform DER -in {word} -out FILE.pem")),
        ),
        _ => (
            format!("it holds no {what} in PEM"),
            Some(format!("expected is a text with lines such as -----BEGIN {label}-----")),
        ),
    };
    Fault::unusable(path, reason, hint)
}

/// The complaint about broken PEM. It shows nothing of the file: that may be a key.
fn damaged(path: &Path, error: &pem::Error) -> Fault {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "its PEM is cut short: a line -----END is missing",
        _ => "its PEM is damaged",
    };
    Fault::unusable(path, reason, None)
}

fn contains(raw: &[u8], text: &[u8]) -> bool {
    raw.windows(text.len()).any(|window| window == text)
}

/// Reads a regular file: a pipe would be empty for the next connection, and one that nobody writes to would hang.
fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = fs::File::options().read(true).custom_flags(flags).open(path).map_err(Fault::io("read", path))?;
    if !file.metadata().map_err(Fault::io("read", path))?.is_file() {
        return Err(Fault::unusable(path, "it is no regular file", None));
    }
    let mut raw = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut raw).map_err(Fault::io("read", path))?;
    if raw.len() as u64 > LARGEST {
        return Err(Fault::unusable(path, "it is larger than 1 MiB", None));
    }
    Ok(raw)
}
