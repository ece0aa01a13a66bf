//! `--listen`: an address as people write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// The port when none is given, that of docker's registry.
const PORT: u16 = 5000;

/// Reads `HOST:PORT`, `HOST`, `:PORT` (every address of this machine) or `PORT` (this machine alone).
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let expected = "expected ADDRESS:PORT such as 127.0.0.1:5000, or :5000 for every address of this machine";
    if let Some((_, rest)) = text.split_once("://") {
        let rest = rest.trim_end_matches('/');
        return Err(format!("write {} alone: TLS is spoken with --tls-cert", barge::text::escaped(rest)));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err("IPv6 addresses stand in brackets: [::1]:5000".to_owned());
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, parse_port(text)?)));
    }
    let (host, port) = match text.rsplit_once(':') {
        // the colons of an address in brackets
        Some((_, rest)) if rest.ends_with(']') => (text, PORT),
        Some((host, port)) => (host, parse_port(port)?),
        None => (text, PORT),
    };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match (host, bracketed) {
        ("" | "*", _) if text.contains(':') || host == "*" => Ok(SocketAddr::new(every_address(), port)),
        ("localhost", _) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        (_, Some(inner)) => match inner.parse::<Ipv6Addr>() {
            Ok(address) => Ok(SocketAddr::from((address, port))),
            Err(_) => Err(expected.to_owned()),
        },
        _ => match host.parse::<Ipv4Addr>() {
            Ok(address) => Ok(SocketAddr::from((address, port))),
            Err(_) => Err(format!("{expected}; names are not looked up")),
        },
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    // u16 takes a plus sign
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| "a port is a number from 0 to 65535".to_owned())
}

/// Returns what means every address of this machine, those of IPv6 with those of IPv4 where it has both.
fn every_address() -> IpAddr {
    let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() && !ipv6_stands_alone();
    if both { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// Returns whether this machine keeps IPv4 out of what listens on all addresses of IPv6.
fn ipv6_stands_alone() -> bool {
    std::fs::read("/proc/sys/net/ipv6/bindv6only").is_ok_and(|value| value.starts_with(b"1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_users_of_docker_type() {
        for (text, address) in [
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("10.0.0.5:80", "10.0.0.5:80"),
            ("0.0.0.0:5000", "0.0.0.0:5000"),
            ("0.0.0.0", "0.0.0.0:5000"),
            ("[::1]:5001", "[::1]:5001"),
            ("[::1]", "[::1]:5000"),
            ("[::]:0", "[::]:0"),
            ("localhost:5001", "127.0.0.1:5001"),
            ("localhost", "127.0.0.1:5000"),
            ("5001", "127.0.0.1:5001"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert_eq!(parse_listen(text), Ok(address.parse().unwrap()), "{text}");
        }
        for text in [":5001", "*:5001"] {
            let address = parse_listen(text).unwrap();
            assert!(address.ip().is_unspecified() && address.port() == 5001, "{text} {address}");
        }
        assert_eq!(parse_listen("*").unwrap().port(), 5000);
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        for (text, said) in [
            ("", "expected"),
            (":", "a port is"),
            (":x", "a port is"),
            (":+80", "a port is"),
            ("127.0.0.1:", "a port is"),
            ("127.0.0.1:65536", "a port is"),
            ("127.0.0.1:-1", "a port is"),
            ("99999", "a port is"),
            ("node1:5000", "not looked up"),
            ("node1", "not looked up"),
            ("1.2.3:5000", "not looked up"),
            ("::1", "brackets"),
            ("::1:5000", "brackets"),
            ("[::1", "expected"),
            ("[x]:5000", "expected"),
            ("[]", "expected"),
            ("http://127.0.0.1:5000/", "write 127.0.0.1:5000 alone"),
            ("127.0.0.1:5000/v2", "a port is"),
        ] {
            let refused = parse_listen(text).unwrap_err();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}
