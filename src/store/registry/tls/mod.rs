//! TLS: whom a connection trusts, and what it shows of itself.
//!
//! Trusted are the authorities of the system, those the user names, and for a registry those in its own directory
//! (containers-certs.d(5), containers/image v5; docker reads the same). A client certificate and that directory are bound
//! to the registry: a host that the registry sends us to gets neither.

mod connector;
mod explain;
mod files;
#[cfg(test)]
pub(crate) mod tests;
mod verifiers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

pub(super) use self::connector::TlsConnector;
pub(super) use self::explain::{explain, is_plain_http};
use self::files::Fault;
use self::verifiers::{Anybody, NamedOrSigned};
use crate::error::Class;
use crate::store::{Location, StoreError};

/// What is wrong with a file that a server needs for TLS.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// The file.
    pub(crate) path: PathBuf,
    /// What that means to a script.
    pub(crate) class: Class,
    /// Why.
    pub(crate) reason: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

/// Reads the certificate of a server, with what leads from it to an authority, and its key; `option` is what names that.
pub(crate) fn server_identity(certificate: &Path, key: &Path, option: &str) -> Result<CertifiedKey, Unusable> {
    files::identity(certificate, Some(key), option, &ring::default_provider()).map_err(|fault| {
        let (path, class, reason, hint) = fault.apart();
        Unusable { path, class, reason, hint }
    })
}

/// Whether the other side must prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// It must: its certificate is checked.
    #[default]
    Always,
    /// Any certificate does: what is sent may be read and changed on its way.
    Skip,
}

/// What the user said about TLS. These are paths: nothing secret is in them.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Whether certificates are checked.
    pub verify: Verify,
    /// Files with authorities to trust, besides those of the system.
    pub ca_files: Vec<PathBuf>,
    /// The certificate to show to the registry, and what leads from it to an authority; the key may stand in the same file.
    pub client_cert: Option<PathBuf>,
    /// The key of that certificate, when it stands in a file of its own.
    pub client_key: Option<PathBuf>,
    /// Directories such as `/etc/containers/certs.d` with a directory `HOST[:PORT]` for each registry; the first that has
    /// one for a registry is the one that counts.
    pub certificate_directories: Vec<PathBuf>,
}

/// What the connections to a host trust, and what they show of us.
#[derive(Clone)]
pub(super) struct TlsSetup {
    host: Arc<ClientConfig>,
    /// For a proxy on the way there, which is somebody else.
    proxy: Arc<ClientConfig>,
}

/// Shows nothing: keys are in it.
impl fmt::Debug for TlsSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSetup").finish_non_exhaustive()
    }
}

/// Returns what connections to a registry trust and show, `HOST[:PORT]` as users write it.
///
/// # Errors
/// When a file cannot be read or is not what it should be, or a certificate and its key are not both there.
pub(super) fn for_registry(host: &str, options: &TlsOptions) -> Result<TlsSetup, StoreError> {
    let place = Location::Registry(host.to_owned());
    registry_setup(host, options).map_err(|fault| fault.at(&place))
}

/// Returns what connections to hosts trust that a registry sends us to: a token server, a content network.
///
/// # Errors
/// As [`for_registry`], for the files that the user named as authorities.
pub(super) fn for_others(options: &TlsOptions) -> Result<TlsSetup, StoreError> {
    let host = others(options).map_err(Fault::without_place)?;
    Ok(TlsSetup { proxy: Arc::clone(&host), host })
}

fn registry_setup(host: &str, options: &TlsOptions) -> Result<TlsSetup, Fault> {
    let found = files::for_host(host, &options.certificate_directories)?;
    let named = authorities(options.ca_files.iter().chain(&found.authorities))?;
    let provider = ring::default_provider();
    let client = match (&options.client_cert, &options.client_key) {
        (Some(certificate), key) => Some(files::client(certificate, key.as_deref(), &provider)?),
        (None, Some(key)) => return Err(Fault::key_alone(key)),
        (None, None) => {
            let pair = found.pair()?;
            pair.map(|(certificate, key)| files::client(&certificate, Some(&key), &provider)).transpose()?
        }
    };
    Ok(TlsSetup { host: config(options.verify, named, client, provider)?, proxy: others(options)? })
}

fn others(options: &TlsOptions) -> Result<Arc<ClientConfig>, Fault> {
    config(options.verify, authorities(&options.ca_files)?, None, ring::default_provider())
}

fn authorities(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let mut named = Vec::new();
    for file in files {
        named.extend(files::authorities(file.as_ref())?);
    }
    Ok(named)
}

/// Puts together what was read. `named` are the certificates that the user trusts besides those of the system.
fn config(
    verify: Verify,
    named: Vec<CertificateDer<'static>>,
    client: Option<CertifiedKey>,
    provider: CryptoProvider,
) -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(provider);
    let system = system();
    let mut roots = system.roots.clone();
    roots.add_parsable_certificates(named.iter().cloned());
    let named: Vec<_> = system.certificates.iter().cloned().chain(named).collect();
    let roots = Arc::new(roots);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Fault::library)?;
    let signed = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider).build();
    let builder = match (verify, signed) {
        // the user said so
        (Verify::Skip, _) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody)),
        // why this trusts nobody else: see there
        (Verify::Always, Ok(signed)) if !named.is_empty() => {
            let verifier = NamedOrSigned { signed, named };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        (Verify::Always, _) => builder.with_root_certificates(roots),
    };
    let config = match client {
        Some(pair) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair))),
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// The authorities of the system.
struct System {
    roots: RootCertStore,
    /// The same as they stand in its files: whoever puts a registry's own certificate there names it, too.
    certificates: Vec<CertificateDer<'static>>,
}

/// The authorities of the system, read once. What is broken in it is left out, as every other program does: one bad file
/// must not keep a machine from all registries. (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded by the crate that reads.)
fn system() -> &'static System {
    static SYSTEM: OnceLock<System> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let certificates = rustls_native_certs::load_native_certs().certs;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        System { roots, certificates }
    })
}
