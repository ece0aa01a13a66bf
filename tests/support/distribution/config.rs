//! The file that tells a registry what to be: distribution v2.8.2, docs/configuration.md.

use std::path::{Path, PathBuf};

use super::authority::Authority;
use super::token::TokenServer;

/// Who may enter.
pub(super) enum Access<'a> {
    None,
    Htpasswd(PathBuf),
    Token(&'a TokenServer),
}

pub(super) struct Settings<'a> {
    pub port: u16,
    pub storage: &'a Path,
    pub no_delete: bool,
    pub read_only: bool,
    pub authority: Option<&'a Authority>,
    /// Whether a client needs a certificate.
    pub mutual: bool,
    pub access: &'a Access<'a>,
}

/// Debug lines say when a request begins, which the access log does not ([`super::log`]). The secret signs upload
/// sessions: with one that stays, they survive a restart.
pub(super) fn text(settings: &Settings<'_>) -> String {
    let Settings { port, storage, no_delete, read_only, .. } = settings;
    let mut text = format!(
        "version: 0.1
log:
  level: debug
  formatter: json
storage:
  filesystem:
    rootdirectory: {storage:?}
  delete:
    enabled: {delete}
  maintenance:
    uploadpurging:
      enabled: false
    readonly:
      enabled: {read_only}
http:
  addr: 127.0.0.1:{port}
  secret: the same after a restart
",
        delete = !no_delete
    );
    if let Some(authority) = settings.authority {
        let server = authority.server();
        text += &format!("  tls:\n    certificate: {:?}\n    key: {:?}\n", server.certificate, server.key);
        if settings.mutual {
            text += &format!("    clientcas:\n      - {:?}\n", authority.certificate());
        }
    }
    match settings.access {
        Access::None => {}
        Access::Htpasswd(file) => text += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {file:?}\n"),
        Access::Token(server) => {
            text += &format!(
                "auth:\n  token:\n    realm: {:?}\n    service: {:?}\n    issuer: {:?}\n    rootcertbundle: {:?}\n",
                server.realm(),
                server.service(),
                server.issuer(),
                server.bundle()
            );
        }
    }
    text
}
