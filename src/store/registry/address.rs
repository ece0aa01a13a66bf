//! Addresses: origins, and URLs below them.
//!
//! Credentials are bound to an [`Origin`]; where a registry sends us is a [`Url`] whose origin is asked before anything
//! goes along.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;

/// How long a URL may be that a registry gives us, in bytes. The signed ones of content networks have some thousand.
const LONGEST_URL: usize = 64 * 1024;

/// Scheme, host and port: what a credential is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) https: bool,
    /// In lower case, an IPv6 address with its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// Reads `HOST[:PORT]` as users write it. `None` when it is none.
    pub(super) fn of_host(host: &str, https: bool) -> Option<Self> {
        let scheme = if https { "https" } else { "http" };
        Url::parse(&format!("{scheme}://{host}/")).map(|url| url.origin())
    }

    /// Returns whether it is on this very machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|address| address.is_loopback())
    }

    /// Returns the address, when the host is one and no name, in all the spellings that a system takes for one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(|address| address.to_canonical()),
            None => old_spelling(&self.host).map(IpAddr::V4),
        }
    }

    /// Returns the URL of a path and query, which begins with `/`.
    pub(super) fn url(&self, path: &str) -> Option<Url> {
        Url::parse(&format!("{self}{path}"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Reads an address of up to four numbers, decimal, octal or hexadecimal, the last of which fills the rest, as `inet_aton(3)`
/// does, and with it every function that looks up a host: `127.1`, `0x7f000001` and `2130706433` are `127.0.0.1`.
fn old_spelling(host: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        _ if part.starts_with('+') => None,
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8).ok(),
        None => part.parse().ok(),
    };
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last().filter(|(_, first)| first.len() < 4)?;
    let room = 8 * (4 - first.len() as u32);
    if first.iter().any(|part| *part > 255) || u64::from(*last) >= 1 << room {
        return None;
    }
    let bits = first.iter().zip([24, 16, 8]).fold(*last, |bits, (part, by)| bits | (part << by));
    Some(Ipv4Addr::from(bits))
}

/// What an address is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// This machine.
    Machine,
    /// A network of its owner's (RFC 1918, 4193, 6598).
    Network,
    /// Something that is for the machine alone, such as the one that tells a machine in a cloud its keys (RFC 3927), or for
    /// nobody in particular.
    Link,
}

impl Inside {
    /// Returns what an address is inside of; none for one that everybody can reach.
    pub(super) fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(address) => match address.octets() {
                [127, ..] => Some(Self::Machine),
                // 100.100.100.200 and 192.0.0.192 are clouds' own, beside 169.254.169.254
                [0 | 224..=255, ..] | [169, 254, ..] | [100, 100, 100, 200] | [192, 0, 0, _] => Some(Self::Link),
                [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Some(Self::Network),
                _ => None,
            },
            IpAddr::V6(address) => match address.segments() {
                [0, 0, 0, 0, 0, 0, 0, 1] => Some(Self::Machine),
                [0, 0, 0, 0, 0, 0, ..] | [0xfe80..=0xfebf | 0xff00..=0xffff, ..] | [0xfd00, 0x0ec2, ..] => {
                    Some(Self::Link)
                }
                [0xfc00..=0xfdff, ..] => Some(Self::Network),
                _ => None,
            },
        }
    }

    /// Returns whether a registry, which is where `from` says, may lead there.
    pub(super) fn is_open_from(self, from: &[Self]) -> bool {
        from.contains(&self) || (self == Self::Network && from.contains(&Self::Machine))
    }
}

/// An absolute http or https URL without a user, a password or a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url(Uri);

impl Url {
    /// Parses an absolute URL. `None` when it is none, or carries a user.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST_URL {
            return None;
        }
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        // a port that is none would be taken for the usual one
        let port = authority.as_str().rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        let has_host = !authority.host().is_empty() && !authority.as_str().contains('@');
        (known && has_host && is_port).then_some(Self(uri))
    }

    /// Returns where a `Location` or a `Link` leads that stands in an answer from here (RFC 3986, section 5.2, without dot
    /// segments: no registry sends them).
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let origin = self.origin();
        if location.contains("://") && !location.starts_with(['/', '?']) {
            let url = Self::parse(location)?;
            let other = url.origin();
            // a server behind a proxy that ends TLS often does not know that it was asked with TLS
            let is_itself = origin.host == other.host && [80, origin.port].contains(&other.port);
            if origin.https && !other.https && is_itself {
                return origin.url(url.0.path_and_query().map_or("/", |rest| rest.as_str()));
            }
            return Some(url);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", if origin.https { "https" } else { "http" }));
        }
        if location.starts_with('/') {
            return origin.url(location);
        }
        let path = self.0.path();
        if location.starts_with('?') {
            return origin.url(&format!("{path}{location}"));
        }
        let above = path.rfind('/').map_or("/", |at| &path[..=at]);
        origin.url(&format!("{above}{location}"))
    }

    /// Returns the URL with one more parameter in its query, which a registry's own query stays part of.
    pub(super) fn with_query(&self, name: &str, value: &str) -> Option<Self> {
        let separator = if self.0.query().is_some() { '&' } else { '?' };
        Self::parse(&format!("{}{separator}{name}={}", self.0, percent_encoded(value)))
    }

    /// Returns the URL without a parameter of its query.
    pub(super) fn without_query(&self, name: &str) -> Self {
        let Some(query) = self.0.query() else { return self.clone() };
        let is_it = |part: &&str| part.split('=').next() != Some(name);
        let kept = query.split('&').filter(is_it).collect::<Vec<_>>().join("&");
        let text = self.to_string();
        let before = text.split_once('?').map_or(text.as_str(), |(before, _)| before);
        let without = if kept.is_empty() { before.to_owned() } else { format!("{before}?{kept}") };
        Self::parse(&without).unwrap_or_else(|| self.clone())
    }

    /// Returns scheme, host and port.
    pub(super) fn origin(&self) -> Origin {
        let https = self.0.scheme_str() == Some("https");
        let port = self.0.port_u16().unwrap_or(if https { 443 } else { 80 });
        Origin { https, host: self.0.host().unwrap_or_default().to_ascii_lowercase(), port }
    }

    /// Returns the path alone: what a message may show (a query can hold a signature).
    pub(super) fn path(&self) -> &str {
        self.0.path()
    }

    /// Returns the URL as the HTTP library takes it.
    pub(super) const fn uri(&self) -> &Uri {
        &self.0
    }
}

/// Prints the whole URL, secrets of its query too: for requests and the journal, never for messages.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns text as it may stand in a query (RFC 3986, section 2.3).
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_makes_an_origin() {
        for (host, https, expected) in [
            ("ghcr.io", true, Some("https://ghcr.io")),
            ("Registry.Example:5000", true, Some("https://registry.example:5000")),
            ("127.0.0.1:443", true, Some("https://127.0.0.1")),
            ("[::1]:5000", false, Some("http://[::1]:5000")),
            ("user@host", true, None),
            ("", true, None),
        ] {
            assert_eq!(Origin::of_host(host, https).map(|it| it.to_string()).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn loopback_is_told_from_names_that_look_like_it() {
        for (host, loopback) in [
            ("localhost:5000", true),
            ("127.0.0.1", true),
            ("127.9.9.9:1", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("10.0.0.1", false),
            ("127.1:5000", true),
            ("0x7f000001", true),
            ("017700000001", true),
            ("2130706433", true),
            ("[::ffff:127.0.0.1]:5000", true),
            ("2130706433.example", false),
            ("127.0.0.1.1", false),
            ("1e3", false),
        ] {
            assert_eq!(Origin::of_host(host, false).unwrap().is_loopback(), loopback, "{host}");
        }
    }

    #[test]
    fn an_address_is_inside_of_something_or_for_everybody() {
        use Inside::{Link, Machine, Network};
        for (host, inside) in [
            ("127.0.0.1", Some(Machine)),
            ("[::1]", Some(Machine)),
            ("[::ffff:127.0.0.2]", Some(Machine)),
            ("10.1.2.3", Some(Network)),
            ("172.31.0.1", Some(Network)),
            ("192.168.1.1", Some(Network)),
            ("100.64.0.1", Some(Network)),
            ("[fd12::1]", Some(Network)),
            ("169.254.169.254", Some(Link)),
            ("2852039166", Some(Link)),
            ("0xa9.0xfe.43518", Some(Link)),
            ("[::ffff:169.254.169.254]", Some(Link)),
            ("[fe80::1]", Some(Link)),
            ("[fd00:ec2::254]", Some(Link)),
            ("100.100.100.200", Some(Link)),
            ("0.0.0.0", Some(Link)),
            ("[::]", Some(Link)),
            ("255.255.255.255", Some(Link)),
            ("172.32.0.1", None),
            ("192.0.2.1", None),
            ("1.1.1.1", None),
            ("[2606:4700::1]", None),
        ] {
            let address = Origin::of_host(host, true).unwrap().address().unwrap();
            assert_eq!(Inside::of(address), inside, "{host}");
        }
        for (to, from, open) in [
            (Machine, vec![], false),
            (Network, vec![], false),
            (Link, vec![Machine, Network], false),
            (Machine, vec![Network], false),
            (Network, vec![Machine], true),
            (Network, vec![Network], true),
            (Link, vec![Link], true),
        ] {
            assert_eq!(to.is_open_from(&from), open, "{to:?} from {from:?}");
        }
    }

    #[test]
    fn a_location_is_joined_to_where_it_was_said() {
        let base = Url::parse("https://r.example:8443/v2/app/blobs/uploads/?n=1").unwrap();
        for (location, expected) in [
            ("https://cdn.example/x?sig=1#frag", Some("https://cdn.example/x?sig=1")),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("/v2/app/blobs/uploads/1?_state=a%3D", Some("https://r.example:8443/v2/app/blobs/uploads/1?_state=a%3D")),
            ("abc", Some("https://r.example:8443/v2/app/blobs/uploads/abc")),
            ("?n=2", Some("https://r.example:8443/v2/app/blobs/uploads/?n=2")),
            ("/x?next=http://y", Some("https://r.example:8443/x?next=http://y")),
            ("http://cdn.example:99999/x", None),
            ("http://cdn.example:0/x", None),
            ("http://cdn.example:/x", None),
            ("http://[::1]:5000/x", Some("http://[::1]:5000/x")),
            ("http://[::1]/x", Some("http://[::1]/x")),
            ("http://r.example:8443/x?n=1", Some("https://r.example:8443/x?n=1")),
            ("http://R.EXAMPLE/x", Some("https://r.example:8443/x")),
            ("http://r.example:5000/x", Some("http://r.example:5000/x")),
            ("http://cdn.example/x", Some("http://cdn.example/x")),
            ("ftp://x/y", None),
            ("https://user:secret@cdn.example/x", None),
            ("/a b", None),
        ] {
            assert_eq!(base.join(location).map(|it| it.to_string()).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn a_query_is_added_to_and_encoded() {
        let url = Url::parse("http://h/p?_state=x").unwrap().with_query("digest", "sha256:a&b").unwrap();
        assert_eq!(url.to_string(), "http://h/p?_state=x&digest=sha256%3Aa%26b");
        assert_eq!(url.without_query("digest").to_string(), "http://h/p?_state=x");
        assert_eq!(url.without_query("digest").without_query("_state").to_string(), "http://h/p");
    }
}
