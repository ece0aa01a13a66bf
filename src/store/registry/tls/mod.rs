//! TLS: whom a connection trusts, and what it shows of itself.
//!
//! Trusted are the authorities of the system, those the user names, and for a registry those in its own directory
//! (containers-certs.d(5), containers/image v5; docker reads the same). A client certificate and that directory are bound
//! to the registry: a host that the registry sends us to gets neither.

mod explain;
mod files;
#[cfg(test)]
pub(super) mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig};

pub(super) use self::explain::{explain, is_plain_http};
use self::files::Fault;
use crate::store::{Location, StoreError};

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

/// Returns the configuration for connections to a registry, `HOST[:PORT]` as users write it.
///
/// # Errors
/// When a file cannot be read or is not what it should be, or a certificate and its key are not both there.
pub(super) fn for_registry(host: &str, options: &TlsOptions) -> Result<TlsConfig, StoreError> {
    let place = Location::Registry(host.to_owned());
    registry_config(host, options).map_err(|fault| fault.at(&place))
}

/// Returns the configuration for hosts that a registry sends us to: a token server, a content network.
///
/// # Errors
/// As [`for_registry`], for the files that the user named as authorities.
pub(super) fn for_others(options: &TlsOptions) -> Result<TlsConfig, StoreError> {
    let config = authorities(&options.ca_files).map(|roots| config(options.verify, roots, None));
    config.map_err(Fault::without_place)
}

fn registry_config(host: &str, options: &TlsOptions) -> Result<TlsConfig, Fault> {
    let found = files::for_host(host, &options.certificate_directories)?;
    let roots = authorities(options.ca_files.iter().chain(&found.authorities))?;
    let client = match (&options.client_cert, &options.client_key) {
        (Some(certificate), key) => Some(files::client(certificate, key.as_deref())?),
        (None, Some(key)) => return Err(Fault::key_alone(key)),
        (None, None) => found.pair()?.map(|(certificate, key)| files::client(&certificate, Some(&key))).transpose()?,
    };
    Ok(config(options.verify, roots, client))
}

fn config(verify: Verify, roots: RootCerts, client: Option<ClientCert>) -> TlsConfig {
    TlsConfig::builder().root_certs(roots).client_cert(client).disable_verification(verify == Verify::Skip).build()
}

fn authorities(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<RootCerts, Fault> {
    let mut more = Vec::new();
    for file in files {
        more.extend(files::authorities(file.as_ref())?);
    }
    if more.is_empty() {
        return Ok(RootCerts::Specific(Arc::clone(system())));
    }
    Ok(RootCerts::Specific(Arc::new(system().iter().cloned().chain(more).collect())))
}

/// The authorities of the system, read once. What is broken in it is left out, as every other program does: one bad file
/// must not keep a machine from all registries. (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded by the crate that reads.)
fn system() -> &'static Arc<Vec<Certificate<'static>>> {
    static SYSTEM: OnceLock<Arc<Vec<Certificate<'static>>>> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs().certs;
        Arc::new(found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
    })
}
