//! How registries are reached: the options of every command that may reach one, and what the environment says.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use barge::blob::Cancel;
use barge::ops::Error;
use barge::store::registry::credentials::{Directories, Keyring, Secret};
use barge::store::registry::proxy::Proxies;
use barge::store::registry::tls::{TlsOptions, Verify};
use barge::store::registry::{LANES, NetworkOptions, Notice, RateLimit, Registries};
use clap::Args;

use super::Global;

/// How a registry is reached.
#[derive(Args, Debug, Default)]
pub(crate) struct NetworkArgs {
    /// Where the passwords are [default: what podman, skopeo and docker wrote]
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub(crate) authfile: Option<PathBuf>,
    /// The user and the password for the one registry of this command (others may see them: better `barge login`)
    #[arg(long, value_name = "USER:PASSWORD", help_heading = HEADING)]
    creds: Option<String>,
    /// Whether to check certificates; without it plain HTTP will do too
    #[arg(long, value_name = "BOOL", help_heading = HEADING, default_value_t = true, default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    tls_verify: bool,
    /// What docker calls --tls-verify=false
    #[arg(long, hide = true)]
    insecure: bool,
    /// Speak HTTP without TLS (on this machine it is tried in any case)
    #[arg(long, help_heading = HEADING)]
    plain_http: bool,
    /// Trust the authorities in this file as well as the system's (can be repeated)
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    ca_file: Vec<PathBuf>,
    /// The certificate to show
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    client_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", help_heading = HEADING, requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// How often to try again what failed in passing
    #[arg(long, value_name = "N", help_heading = HEADING, default_value_t = 4)]
    retry: u32,
    /// How many bytes a second at most, over all connections: 500k, 10M ...
    #[arg(long, value_name = "SIZE", help_heading = HEADING, value_parser = parse_size)]
    limit_rate: Option<u64>,
    /// Send blobs in pieces of this size [default: each in one]
    #[arg(long, value_name = "SIZE", help_heading = HEADING, value_parser = parse_size)]
    chunk_size: Option<u64>,
}

const HEADING: &str = "Registry options";

/// Reads a number of bytes: 64MiB, 10M, 500k, 1048576. As with curl and dd, M is 1024 times 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let expected = || "expected a number of bytes such as 500k, 10M or 1G".to_owned();
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(expected()),
    };
    match number.checked_mul(1 << shift) {
        Some(0) | None => Err(expected()),
        Some(bytes) => Ok(bytes),
    }
}

/// What the environment says about places; an empty variable says nothing.
fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn text(names: [&str; 2]) -> Option<String> {
    names.into_iter().find_map(|name| env::var(name).ok()).filter(|value| !value.is_empty())
}

fn home() -> Option<PathBuf> {
    env::home_dir()
}

fn below_home(variable: &str, default: &str) -> Option<PathBuf> {
    path(variable).or_else(|| home().map(|home| home.join(default)))
}

impl NetworkArgs {
    /// Returns the registries of this run.
    pub(crate) fn registries(&self, global: &Global, cancel: &Cancel, notice: Notice) -> Result<Registries, Error> {
        self.registries_with(global, cancel, notice, self.keyring()?)
    }

    /// Returns the registries of this run, and takes the credentials for them from there.
    pub(crate) fn registries_with(
        &self,
        global: &Global,
        cancel: &Cancel,
        notice: Notice,
        keyring: Keyring,
    ) -> Result<Registries, Error> {
        if global.no_network {
            return Ok(Registries::forbidden("--no-network forbids it", None, cancel));
        }
        let options = NetworkOptions {
            forbidden: None,
            one_registry: self.creds.is_some(),
            tls: self.tls(),
            plain_http: self.plain_http,
            proxies: proxies(),
            keyring,
            retries: self.retry,
            limit: self.limit_rate.map(|rate| Arc::new(RateLimit::new(rate))),
            lanes: global.jobs.unwrap_or(LANES),
            chunk_size: self.chunk_size,
            state: below_home("XDG_STATE_HOME", ".local/state").map(|state| state.join("barge")),
        };
        Ok(Registries::new(options, cancel, notice))
    }

    fn tls(&self) -> TlsOptions {
        let own = below_home("XDG_CONFIG_HOME", ".config").map(|config| config.join("containers/certs.d"));
        let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
        TlsOptions {
            verify: if self.tls_verify && !self.insecure { Verify::Always } else { Verify::Skip },
            ca_files: self.ca_file.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            certificate_directories: own.into_iter().chain(system).collect(),
        }
    }

    /// Returns where the passwords are.
    pub(crate) fn keyring(&self) -> Result<Keyring, Error> {
        let mut keyring = Keyring {
            given: None,
            authfile: self.authfile.clone().or_else(|| path("REGISTRY_AUTH_FILE")),
            files: directories().files(),
            helper_path: env::var_os("PATH"),
        };
        if let Some(creds) = &self.creds {
            let Some((user, password)) = creds.split_once(':').filter(|(user, _)| !user.is_empty()) else {
                // what stands there may be the password
                return Err(Error::Usage {
                    message: "cannot use --creds: it has no user or no password".to_owned(),
                    hint: Some("write USER:PASSWORD, or log in once with `barge login`".to_owned()),
                });
            };
            keyring.given = Some((user.to_owned(), Secret::new(password)));
        }
        Ok(keyring)
    }
}

/// Returns the directories of the files that podman, skopeo and docker read.
fn directories() -> Directories {
    Directories {
        runtime: path("XDG_RUNTIME_DIR"),
        config: path("XDG_CONFIG_HOME"),
        docker: path("DOCKER_CONFIG"),
        home: home(),
    }
}

/// Returns the proxies, by the names that curl and Go read. `HTTP_PROXY` in upper case is no setting where a web server may
/// have made it of a request's header (CVE-2016-5385).
fn proxies() -> Proxies {
    let in_cgi = env::var_os("REQUEST_METHOD").is_some();
    Proxies {
        http: text(["http_proxy", if in_cgi { "http_proxy" } else { "HTTP_PROXY" }]),
        https: text(["https_proxy", "HTTPS_PROXY"]),
        all: text(["all_proxy", "ALL_PROXY"]),
        no_proxy: text(["no_proxy", "NO_PROXY"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in [
            ("1048576", Some(1_048_576)),
            ("500k", Some(512_000)),
            ("10M", Some(10 << 20)),
            ("64MiB", Some(64 << 20)),
            ("1GB", Some(1 << 30)),
            ("0", None),
            ("", None),
            ("M", None),
            ("1x", None),
            ("-1", None),
            ("99999999999T", None),
        ] {
            assert_eq!(parse_size(text).ok(), bytes, "{text}");
        }
    }
}
