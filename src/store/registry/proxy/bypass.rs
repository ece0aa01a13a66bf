//! Which hosts are asked directly: this machine, and those in `NO_PROXY`.

use std::net::IpAddr;

/// Returns whether a host is asked without a proxy. What in `NO_PROXY` is no host matches none, as in Go.
pub(super) fn is_direct(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let mut items = no_proxy.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.any(|item| matches(&item.to_ascii_lowercase(), &host, address, port))
}

fn matches(item: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if item == "*" {
        return true;
    }
    if let Some((network, length)) = item.split_once('/') {
        let network = bare(network).parse::<IpAddr>().ok().zip(length.parse::<u32>().ok());
        return network.zip(address).is_some_and(|((network, length), address)| contains(network, length, address));
    }
    let (name, wanted) = split_port(item);
    if !wanted.is_none_or(|wanted| wanted.is_empty() || wanted.parse() == Ok(port)) {
        return false;
    }
    if let Ok(named) = bare(name).parse::<IpAddr>() {
        return address == Some(named.to_canonical());
    }
    if address.is_some() {
        return name == host;
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name).trim_end_matches('.');
    let Some(domain) = name.strip_prefix('.') else {
        return !name.is_empty() && (host == name || is_below(host, name));
    };
    !domain.is_empty() && is_below(host, domain)
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Splits `HOST:PORT`; an address of IPv6 without brackets has no port.
fn split_port(item: &str) -> (&str, Option<&str>) {
    match item.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && (host.ends_with(']') || !host.contains(':')) => {
            (host, Some(port))
        }
        _ => (item, None),
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether a network, as `10.0.0.0/8` names it, has an address. One that is longer than its kind has none.
fn contains(network: IpAddr, length: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) if length <= 32 => {
            let differ = u32::from(network) ^ u32::from(address);
            differ.checked_shr(32 - length).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) if length <= 128 => {
            let differ = u128::from(network) ^ u128::from(address);
            differ.checked_shr(128 - length).unwrap_or(0) == 0
        }
        _ => false,
    }
}
