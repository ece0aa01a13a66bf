//! What leads through which proxy, and that the client does go through it: proxies here are servers of this process.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, TcpConnector};

use super::super::tls::tests::authority::{Authority, CLIENT, LOCALHOST, NOW};
use super::super::tls::tests::peer::{Peer, answer, certified, curious, request, tls};
use super::super::tls::{TlsConnector, TlsOptions, TlsSetup, for_others, for_registry};
use super::*;
use crate::store::causes;

fn proxies(value: &str) -> Proxies {
    Proxies { https: Some(value.to_owned()), ..Proxies::default() }
}

/// Where the way to a host leads.
fn way(proxies: &Proxies, https: bool, host: &str, port: u16) -> Option<String> {
    let proxy = proxies.proxy_for(https, host, port).unwrap()?;
    Some(format!("{:?} {}:{}", proxy.protocol(), proxy.host(), proxy.port()))
}

#[test]
fn the_variable_of_the_scheme_comes_before_the_one_for_all() {
    let all = Proxies {
        http: Some("http://plain:1".to_owned()),
        https: Some("secure:2".to_owned()),
        all: Some("HTTPS://all".to_owned()),
        no_proxy: None,
    };
    assert_eq!(way(&all, false, "example.com", 80).as_deref(), Some("Http plain:1"));
    assert_eq!(way(&all, true, "example.com", 443).as_deref(), Some("Http secure:2"));
    let some = Proxies { https: Some("  ".to_owned()), ..all.clone() };
    assert_eq!(way(&some, true, "example.com", 443).as_deref(), Some("Https all:443"));
    assert_eq!(way(&Proxies { http: Some("plain".to_owned()), ..Proxies::default() }, true, "example.com", 443), None);
    assert_eq!(way(&Proxies::default(), true, "example.com", 443), None);
    assert_eq!(way(&proxies("[2001:db8::1]:3128/"), true, "example.com", 443).unwrap(), "Http [2001:db8::1]:3128");
}

#[test]
fn this_machine_is_never_asked_through_a_proxy() {
    for host in ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"] {
        assert_eq!(way(&proxies("proxy:1"), true, host, 5000), None, "{host}");
    }
    for host in ["localhost.example", "128.0.0.1", "notlocalhost", "::2"] {
        assert!(way(&proxies("proxy:1"), true, host, 5000).is_some(), "{host}");
    }
}

#[test]
fn hosts_in_no_proxy_are_asked_directly() {
    for (no_proxy, host, port, direct) in [
        ("", "example.com", 443, false),
        ("*", "example.com", 443, true),
        ("a, ,* ,", "10.1.2.3", 443, true),
        ("example.com", "example.com", 443, true),
        ("Example.COM", "eXample.com.", 443, true),
        ("example.com", "sub.example.com", 443, true),
        ("example.com", "badexample.com", 443, false),
        ("example.com", "example.com.evil", 443, false),
        ("sub.example.com", "example.com", 443, false),
        (".example.com", "example.com", 443, false),
        (".example.com", "a.b.example.com", 443, true),
        ("*.example.com", "sub.example.com", 443, true),
        ("*.example.com", "example.com", 443, false),
        ("*example.com", "sub.example.com", 443, false),
        ("other, example.com:5000", "example.com", 5000, true),
        ("example.com:5000", "sub.example.com", 5000, true),
        ("example.com:5000", "example.com", 443, false),
        (".example.com:5000", "sub.example.com", 5000, true),
        ("example.com:", "example.com", 443, true),
        ("192.0.2.1", "192.0.2.1", 443, true),
        ("192.0.2.1", "192.0.2.11", 443, false),
        ("192.0.2.1:5000", "192.0.2.1", 5000, true),
        ("192.0.2.1:5000", "192.0.2.1", 443, false),
        ("192.0.2.1", "::ffff:192.0.2.1", 443, true),
        ("0.2.1", "192.0.2.1", 443, false),
        ("10.0.0.0/8", "10.200.3.4", 443, true),
        ("10.0.0.0/8", "11.0.0.1", 443, false),
        ("192.0.2.128/25", "192.0.2.127", 443, false),
        ("0.0.0.0/0", "203.0.113.9", 443, true),
        ("192.0.2.1/32", "192.0.2.1", 443, true),
        ("10.0.0.0/33", "10.0.0.0", 443, false),
        ("10.0.0.0/x", "10.0.0.0", 443, false),
        ("10.0.0.0/8", "ten.example.com", 443, false),
        ("2001:db8::/32", "[2001:db8:1::5]", 443, true),
        ("2001:db8::/32", "2001:db9::5", 443, false),
        ("::/0", "10.0.0.1", 443, false),
        ("2001:db8::5", "[2001:db8:0::5]", 443, true),
        ("[2001:db8::5]", "2001:db8::5", 443, true),
        ("[2001:db8::5]:5000", "2001:db8::5", 5000, true),
        ("[2001:db8::5]:5000", "2001:db8::5", 443, false),
        (":443", "example.com", 443, false),
        (".", "example.com", 443, false),
        ("*.", "example.com", 443, false),
        ("/", "example.com", 443, false),
        ("[", "example.com", 443, false),
    ] {
        let proxies = Proxies { no_proxy: Some(no_proxy.to_owned()), ..proxies("proxy:1") };
        assert_eq!(way(&proxies, true, host, port).is_none(), direct, "{no_proxy:?} and {host}:{port}");
    }
}

#[test]
fn a_value_that_is_no_proxy_is_refused_by_its_variable_and_not_shown() {
    for (value, class, expected) in [
        ("socks5://user:s3cret@host:1080", Class::Unsupported, "SOCKS"),
        ("socks://host", Class::Unsupported, "SOCKS"),
        ("ftp://user:s3cret@host", Class::Usage, "neither http:// nor https://"),
        ("s3cret://host", Class::Usage, "neither http:// nor https://"),
        ("http://user:s3cret/x@host:1", Class::Usage, "something follows after its host and port"),
        ("http://user:1/s3cret@host:1", Class::Usage, "something follows after its host and port"),
        ("http://user:#s3cret@host:1", Class::Usage, "something follows after its host and port"),
        ("http://user:s3@cret@host:1", Class::Usage, "more than one @"),
        ("http://user:s3cret@", Class::Usage, "not HOST:PORT"),
        ("http://user:s3cret@host:99999", Class::Usage, "not HOST:PORT"),
        ("http://user:s3cret@host:0", Class::Usage, "not HOST:PORT"),
        ("http://user:s3cret@ho st:1", Class::Usage, "not HOST:PORT"),
        ("http://s3cret:", Class::Usage, "not HOST:PORT"),
        ("http://[::1", Class::Usage, "not HOST:PORT"),
        ("http://", Class::Usage, "not HOST:PORT"),
        ("http://user:s3cret%ff@host:1", Class::Usage, "cannot stand in a URL"),
        ("http://user:s3cret\r\n@host:1", Class::Usage, "cannot stand in a URL"),
    ] {
        let error = proxies(value).proxy_for(true, "registry.example", 443).unwrap_err();
        let said = format!("{error}: {}", causes(&error).join(": "));
        assert!(said.starts_with("cannot use HTTPS_PROXY for docker://registry.example: "), "{said}");
        assert!(said.contains(expected), "{value}: {said}");
        assert_eq!(error.class(), class, "{value}");
        assert!(!format!("{said}{error:?}{:?}", error.hint()).contains("s3cret"), "{said}");
        // a host that needs no proxy does not suffer from it
        let direct = Proxies { no_proxy: Some("registry.example".to_owned()), ..proxies(value) };
        assert!(direct.proxy_for(true, "registry.example", 443).unwrap().is_none());
    }
    let all = Proxies { all: Some("socks5h://host".to_owned()), ..Proxies::default() };
    let error = all.proxy_for(false, "registry.example", 80).unwrap_err();
    assert!(error.to_string().starts_with("cannot use ALL_PROXY "), "{error}");
}

#[test]
fn passwords_are_decoded_for_the_proxy_and_hidden_from_everybody_else() {
    let set = proxies("http://us%40er:p%3As3cret+%2F@host:1");
    let proxy = set.proxy_for(true, "example.com", 443).unwrap().unwrap();
    assert_eq!((proxy.username(), proxy.password()), (Some("us@er"), Some("p:s3cret+/")));
    assert!(!format!("{proxy:?}").contains("s3cret"), "{proxy:?}");
    for value in ["http://user:s3cret@host:1", "user:s3cret@host", "http://us@er:s3/cret@host", "user:s3cret@"] {
        let set = Proxies {
            http: Some(value.to_owned()),
            https: Some(value.to_owned()),
            all: Some(value.to_owned()),
            no_proxy: Some("example.com".to_owned()),
        };
        let shown = format!("{set:?}");
        assert!(!shown.contains("s3") && shown.contains("***@") && shown.contains("example.com"), "{shown}");
    }
    assert!(format!("{:?}", proxies("http://host:1")).contains("http://host:1"));
}

/// Asks for a page through a proxy.
fn get(proxy: &str, url: &str, setup: TlsSetup) -> Result<String, ureq::Error> {
    let https = url.starts_with("https");
    let proxies = Proxies { all: Some(proxy.to_owned()), ..Proxies::default() };
    let config = ureq::Agent::config_builder()
        .proxy(proxies.proxy_for(https, "registry.example", 5000).unwrap())
        .timeout_global(Some(Duration::from_secs(10)))
        .build();
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(TlsConnector::new(Some(setup), true));
    let agent = ureq::Agent::with_parts(config, connector, DefaultResolver::default());
    agent.get(url).call()?.body_mut().read_to_string()
}

/// What a proxy was asked for, and what then came through the tunnel.
type Seen = Arc<Mutex<Vec<String>>>;

#[test]
fn both_kinds_of_hosts_are_reached_through_a_tunnel_of_both_kinds_of_proxies() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("proxy", LOCALHOST, NOW);
    authority.sign("registry", "subjectAltName=DNS:registry.example", NOW);
    let options = TlsOptions { ca_files: vec![authority.path("ca.crt")], ..TlsOptions::default() };
    let front = Arc::new(certified(&authority, "proxy", false));
    let back = Arc::new(certified(&authority, "registry", false));
    for (secure_proxy, secure_host) in [(false, false), (false, true), (true, false), (true, true)] {
        let seen = Seen::default();
        let (sees, front, back) = (Arc::clone(&seen), Arc::clone(&front), Arc::clone(&back));
        // the proxy is the host as well: what is behind the tunnel is answered by itself
        let peer = Peer::start(move |stream| {
            let mut stream: Box<dyn Stream> =
                if secure_proxy { Box::new(tls(&front, stream)) } else { Box::new(stream) };
            sees.lock().unwrap().push(request(&mut stream));
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let mut inner: Box<dyn Stream> = if secure_host { Box::new(tls(&back, stream)) } else { stream };
            sees.lock().unwrap().push(request(&mut inner));
            answer(&mut inner, "through");
        });
        let scheme = |secure| if secure { "https" } else { "http" };
        let proxy = format!("{}://user:p%20w@127.0.0.1:{}", scheme(secure_proxy), peer.port);
        let url = format!("{}://registry.example:5000/v2/", scheme(secure_host));
        assert_eq!(get(&proxy, &url, for_others(&options).unwrap()).unwrap(), "through", "{proxy} {url}");
        let seen = seen.lock().unwrap();
        assert!(seen[0].starts_with("CONNECT registry.example:5000 HTTP/1.1\r\n"), "{seen:?}");
        assert!(seen[0].contains("\r\nProxy-Authorization: Basic dXNlcjpwIHc=\r\n"), "{seen:?}");
        assert!(seen[1].starts_with("GET /v2/ HTTP/1.1\r\n"), "{seen:?}");
        assert!(!seen[1].to_ascii_lowercase().contains("proxy-"), "the host gets the proxy's password: {seen:?}");
    }
}

#[test]
fn what_is_for_the_registry_is_not_for_the_proxy_before_it() {
    let Some(authority) = Authority::new() else { return };
    authority.sign("proxy", LOCALHOST, NOW);
    authority.sign("registry", "subjectAltName=DNS:registry.example", NOW);
    authority.sign("client", CLIENT, NOW);
    for (name, from) in [("a.cert", "client.crt"), ("a.key", "client.key"), ("a.crt", "ca.crt")] {
        authority.write(&format!("certs.d/registry.example:5000/{name}"), &authority.read(from));
    }
    let own = TlsOptions { certificate_directories: vec![authority.path("certs.d")], ..TlsOptions::default() };
    let all = TlsOptions { ca_files: vec![authority.path("ca.crt")], ..own.clone() };
    let (front, back) = (Arc::new(curious(&authority, "proxy")), Arc::new(certified(&authority, "registry", true)));
    let shown: Arc<Mutex<Vec<bool>>> = Arc::default();
    let shows = Arc::clone(&shown);
    let peer = Peer::start(move |stream| {
        let mut stream = tls(&front, stream);
        if request(&mut stream).is_empty() {
            return; // the proxy is not trusted
        }
        shows.lock().unwrap().push(stream.conn.peer_certificates().is_some());
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let mut inner = tls(&back, stream);
        request(&mut inner);
        shows.lock().unwrap().push(inner.conn.peer_certificates().is_some());
        answer(&mut inner, "through");
    });
    let proxy = format!("https://127.0.0.1:{}", peer.port);
    let url = "https://registry.example:5000/v2/";
    let setup = |options| for_registry("registry.example:5000", options).unwrap();
    assert_eq!(get(&proxy, url, setup(&all)).unwrap(), "through");
    assert_eq!(*shown.lock().unwrap(), [false, true], "to the proxy, to the registry");

    // nor is the proxy trusted because an authority of the registry's directory signed it
    let error = get(&proxy, url, setup(&own)).unwrap_err();
    let (reason, _) = super::super::tls::explain(&error).unwrap();
    assert!(reason.contains("does not know"), "{reason}");
    assert_eq!(shown.lock().unwrap().len(), 2);
}

trait Stream: std::io::Read + std::io::Write {}
impl<T: std::io::Read + std::io::Write> Stream for T {}

#[test]
fn a_proxy_that_gives_no_tunnel_is_blamed_and_not_the_registry() {
    for (status, expected) in [
        ("407 Proxy Authentication Required", "wants a user and a password"),
        ("403 Forbidden", "allows no tunnel to this host and port: it answered 403"),
        ("502 Bad Gateway", "could not reach the host: it answered 502"),
        ("", "did not answer"),
    ] {
        let peer = Peer::start(move |mut stream| {
            request(&mut stream);
            if !status.is_empty() {
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        });
        let proxy = format!("http://127.0.0.1:{}", peer.port);
        let error =
            get(&proxy, "http://registry.example:5000/v2/", for_others(&TlsOptions::default()).unwrap()).unwrap_err();
        let (reason, _) = explain(&error).unwrap_or_else(|| panic!("no word about {error:?}"));
        assert!(reason.contains(expected), "{status}: {reason}");
    }
    assert!(explain(&ureq::Error::HostNotFound).is_none());
}

#[test]
fn a_host_that_needs_no_proxy_is_asked_without_one() {
    let peer = Peer::start(|mut stream| {
        request(&mut stream);
        answer(&mut stream, "direct");
    });
    let (port, proxies) = (peer.port, Proxies { all: Some("127.0.0.1:1".to_owned()), ..Proxies::default() });
    let agent = ureq::Agent::config_builder().proxy(proxies.proxy_for(false, "127.0.0.1", port).unwrap()).build();
    let mut response = agent.new_agent().get(format!("http://127.0.0.1:{port}/")).call().unwrap();
    let mut body = String::new();
    response.body_mut().as_reader().read_to_string(&mut body).unwrap();
    assert_eq!(body, "direct");
}
