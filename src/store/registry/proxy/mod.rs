//! Proxies: which one leads to a host, and which hosts need none.
//!
//! The rules are those of Go's programs (golang.org/x/net/http/httpproxy), and so of docker, podman and skopeo; `ALL_PROXY`
//! comes from curl. To either kind of host a proxy is asked for a tunnel (`CONNECT`, RFC 9110, section 9.3.6): what is sent
//! stays between us and the registry, but many proxies allow tunnels to port 443 alone.

mod bypass;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::error::Class;
use crate::store::{Location, Reason, StoreError};
use crate::text::escaped;

/// What the environment says about proxies.
///
/// Who fills this in prefers the names in lower case or upper case as it likes, and leaves `HTTP_PROXY` out when
/// `REQUEST_METHOD` is set: there, in a CGI program, it is a header that anybody may send.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For hosts without TLS: `HTTP_PROXY`.
    pub http: Option<String>,
    /// For hosts with TLS: `HTTPS_PROXY`.
    pub https: Option<String>,
    /// Where neither is set: `ALL_PROXY`.
    pub all: Option<String>,
    /// Hosts that are asked directly: `NO_PROXY`.
    pub no_proxy: Option<String>,
}

impl Proxies {
    /// Returns the proxy that leads to a host, if there is one. This machine itself is never asked through a proxy.
    ///
    /// # Errors
    /// When what the environment says cannot be a proxy, or not one that is spoken here. No password stands in the error.
    pub(super) fn proxy_for(&self, https: bool, host: &str, port: u16) -> Result<Option<ureq::Proxy>, StoreError> {
        let own = if https { ("HTTPS_PROXY", &self.https) } else { ("HTTP_PROXY", &self.http) };
        let set = [own, ("ALL_PROXY", &self.all)].into_iter().find_map(|(variable, value)| {
            let value = value.as_deref()?.trim();
            (!value.is_empty()).then_some((variable, value))
        });
        let Some((variable, value)) = set else { return Ok(None) };
        if bypass::is_direct(self.no_proxy.as_deref().unwrap_or(""), host, port) {
            return Ok(None);
        }
        let refuse = |Refusal { class, reason, hint }| StoreError::Remote {
            action: format!("use {variable} for"),
            place: Location::Registry(host.to_owned()),
            class,
            reason: Reason(reason.to_owned()),
            hint: Some(hint.to_owned()),
        };
        parse(value).map(Some).map_err(refuse)
    }
}

/// Returns why a proxy gave no tunnel, and what to do about it. `None` when that is not what failed.
pub(super) fn explain(error: &ureq::Error) -> Option<(String, String)> {
    let ureq::Error::ConnectProxyFailed(answer) = error else { return None };
    let status: Option<u16> = answer.rsplit('/').next().and_then(|status| status.parse().ok());
    let (reason, hint) = match status {
        Some(407) => (
            "the proxy wants a user and a password".to_owned(),
            "write them in the variable that names it: http://USER:PASSWORD@HOST:PORT",
        ),
        Some(status @ (400..=405 | 501)) => (
            format!("the proxy allows no tunnel to this host and port: it answered {status}"),
            "many allow port 443 alone; if the host can be reached without it, name it in NO_PROXY",
        ),
        Some(status) => (
            format!("the proxy could not reach the host: it answered {status}"),
            "try again; if the host can be reached without it, name it in NO_PROXY",
        ),
        None => ("the proxy did not answer".to_owned(), "check the host and port that HTTPS_PROXY or HTTP_PROXY name"),
    };
    Some((reason, hint.to_owned()))
}

/// Shows whether something is set and where it leads: users and passwords are left out.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redacted = |value: &Option<String>| value.as_deref().map(redacted);
        f.debug_struct("Proxies")
            .field("http", &redacted(&self.http))
            .field("https", &redacted(&self.https))
            .field("all", &redacted(&self.all))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

fn redacted(value: &str) -> String {
    let (scheme, rest) = value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
    match rest.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("***@{}", escaped(host)),
        Some((_, host)) => format!("{}://***@{}", escaped(scheme), escaped(host)),
        None => escaped(value),
    }
}

struct Refusal {
    class: Class,
    reason: &'static str,
    hint: &'static str,
}

fn parse(value: &str) -> Result<ureq::Proxy, Refusal> {
    const FORM: &str = "write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT";
    const ENCODE: &str = "in a user or a password write / as %2F, ? as %3F, # as %23, @ as %40, : as %3A and % as %25";
    let refuse = |reason, hint| Refusal { class: Class::Usage, reason, hint };
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let scheme = scheme.to_ascii_lowercase();
    if scheme.starts_with("socks") {
        let reason = "it is a SOCKS proxy, and only HTTP proxies are spoken";
        return Err(Refusal { class: Class::Unsupported, reason, hint: FORM });
    }
    if scheme != "http" && scheme != "https" {
        return Err(refuse("it begins with neither http:// nor https://", FORM));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    // a stray / in a password would make a host of its first half, and send it to the name server
    if authority.contains(['/', '?', '#']) {
        return Err(refuse("something follows after its host and port", ENCODE));
    }
    let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    if user.is_some_and(|user| user.contains('@')) {
        return Err(refuse("it has more than one @", ENCODE));
    }
    if !is_place(place) {
        return Err(refuse("its host and port are not HOST:PORT", FORM));
    }
    ureq::Proxy::new(&format!("{scheme}://{authority}"))
        .map_err(|_| refuse("its user or password has characters that cannot stand in a URL", ENCODE))
}

/// Whether text is a host, or an address in brackets, and perhaps a port.
fn is_place(place: &str) -> bool {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    port_fits && host_fits
}
