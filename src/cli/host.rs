//! What `serve` says: once that it listens, with the URL as the result, then whatever happens, and in the end how much it was.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use barge::ops::serve::{Event, Listening, Observer, Offered};
use barge::text::{escaped, human_size, human_time};
use barge::transfer::{Event as Talk, Observer as _};
use serde_json::{Value, json};

use super::access_log::{AccessLog, LogFormat};
use super::report::{self, Report};
use super::ui::Ui;
use super::write::count;

/// How many places are named.
const MOST_PLACES: usize = 3;

/// What is known of a server before it listens.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// What is served, as the user called it.
    pub(crate) places: Vec<String>,
    /// Whether it asks for a password.
    pub(crate) htpasswd: bool,
    /// Whether the result is JSON.
    pub(crate) json: bool,
    /// Set when the result stands on standard output.
    pub(crate) answered: Arc<AtomicBool>,
}

/// Hears what a server does.
#[derive(Debug)]
pub(crate) struct Host {
    surroundings: Surroundings,
    log: AccessLog,
    ui: Arc<Ui>,
    begun: Instant,
}

impl Host {
    pub(crate) fn new(surroundings: Surroundings, format: LogFormat, quiet: bool, ui: &Arc<Ui>) -> Self {
        Self { surroundings, log: AccessLog::new(format, quiet), ui: Arc::clone(ui), begun: Instant::now() }
    }

    fn listens(&self) -> bool {
        self.surroundings.answered.load(Ordering::Relaxed)
    }

    /// Says how much it was, and ends the log.
    pub(crate) fn end(&self) {
        if self.listens() {
            let (requests, bytes) = self.log.counts();
            let took = human_time(self.begun.elapsed());
            let line = format!("ended after {took}: {}, {} sent", count(requests, "request"), human_size(bytes));
            self.log.say("ended", &[line], json!({"requests": requests, "bytes": bytes}));
        }
        self.log.close();
    }

    /// Prints the URL, and says what is there and for whom.
    fn announce(&self, listening: &Listening) {
        self.ui.finish();
        let Surroundings { places, htpasswd, json, answered } = &self.surroundings;
        answered.store(true, Ordering::Relaxed);
        let url = url(listening);
        let exposed = exposed_password(listening, *htpasswd);
        let warnings: Vec<String> = self.ui.warnings().into_iter().chain(exposed.clone()).collect();
        let mut report = Report { text: format!("{url}\n").into_bytes(), ..Report::default() };
        report.results.push(json!({"url": url, "address": listening.address.to_string(), "tls": listening.tls,
            "places": places, "repositories": offered_as_json(&listening.offered)}));
        let written = if *json {
            report::print_json("serve", report, &warnings, self.begun.elapsed())
        } else {
            report::write_out(&report.text)
        };
        let repositories = listening.offered.repositories.len();
        let fields = json!({"url": url, "address": listening.address.to_string(), "tls": listening.tls,
            "repositories": repositories, "tags": tags(&listening.offered)});
        self.log.say("listening", &lines(listening, places, *htpasswd), fields);
        if let Err(error) = written {
            self.log.warning(&cannot_print(&error));
        }
        if let Some(exposed) = exposed {
            self.log.warning(&exposed);
        }
    }
}

impl Observer for Host {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Answered(access) => self.log.request(access),
            Event::Listening(listening) => self.announce(listening),
            Event::Warning(text) if self.listens() => self.log.warning(text),
            Event::Told(text) if self.listens() => self.log.told(text),
            // places are still being opened, and that may have bars
            Event::Warning(text) => self.ui.hear(Talk::Warning(text.to_owned())),
            Event::Told(text) => self.ui.hear(Talk::Told(text.to_owned())),
        }
    }
}

/// Returns how much is served, for people.
pub(crate) fn counted(offered: &Offered) -> String {
    let repositories = match offered.repositories.len() {
        1 => "1 repository".to_owned(),
        number => format!("{number} repositories"),
    };
    format!("{repositories}, {}", count(tags(offered), "tag"))
}

/// Returns what is served, for scripts.
pub(crate) fn offered_as_json(offered: &Offered) -> Value {
    offered.repositories.iter().map(|it| json!({"name": it.name, "tags": it.tags})).collect()
}

fn tags(offered: &Offered) -> u64 {
    offered.repositories.iter().map(|repository| repository.tags.len() as u64).sum()
}

/// Returns where a client on this machine connects to: what means every address is none that one can.
fn authority_here(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

fn url(listening: &Listening) -> String {
    let scheme = if listening.tls { "https" } else { "http" };
    format!("{scheme}://{}", authority_here(listening.address))
}

/// Returns what others call this server: by the name of this machine when it listens on every address.
fn authority_for_others(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let name = if !name.is_empty() && name.bytes().all(is_host) { name.as_str() } else { "HOST" };
    format!("{name}:{}", address.port())
}

fn is_for_this_machine(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Returns the warning about passwords that others can read.
fn exposed_password(listening: &Listening, htpasswd: bool) -> Option<String> {
    let exposed = htpasswd && !listening.tls && !is_for_this_machine(listening.address);
    exposed.then(|| "passwords cross the network as they are: whoever is on the way reads them (--tls-cert)".to_owned())
}

/// Returns what is said when it begins: what is served, who reaches it, and one line to try it with.
fn lines(listening: &Listening, places: &[String], htpasswd: bool) -> Vec<String> {
    let address = listening.address;
    let here = is_for_this_machine(address);
    let authority = if here { authority_here(address).to_string() } else { authority_for_others(address) };
    let mut named = places.iter().take(MOST_PLACES).cloned().collect::<Vec<_>>().join(", ");
    if places.len() > MOST_PLACES {
        named.push_str(&format!(" and {} more", places.len() - MOST_PLACES));
    }
    let mut lines = vec![format!("serving {named}: {}", counted(&listening.offered))];
    lines.push(match (here, listening.tls, htpasswd) {
        (true, ..) => format!("for this machine alone; --listen :{} is for others too", address.port()),
        (false, _, true) => format!("for everyone who reaches {authority} and has a password"),
        (false, true, false) => format!("for everyone who reaches {authority}: it asks for no password (--htpasswd)"),
        (false, false, false) => {
            format!("for everyone who reaches {authority}: no TLS (--tls-cert), no password (--htpasswd)")
        }
    });
    if let Some((name, tag)) = example(&listening.offered) {
        let plain =
            if here || listening.tls { "" } else { "   (docs/serve.md: how it is told that this is plain HTTP)" };
        lines.push(format!("try: docker pull {authority}/{}:{}{plain}", escaped(name), escaped(tag)));
    }
    lines
}

/// Returns one image that is there, without its registry where no other is meant by that.
fn example(offered: &Offered) -> Option<(&str, &str)> {
    let repository = offered.repositories.iter().find(|it| !it.tags.is_empty())?;
    let short = short(&repository.name);
    let alone = offered.repositories.iter().filter(|it| self::short(&it.name) == short).count() == 1;
    Some((if alone { short } else { &repository.name }, repository.tags.first()?))
}

/// Returns a repository without the registry that it is named for, as docker writes it.
fn short(name: &str) -> &str {
    match name.split_once('/') {
        Some(("docker.io", path)) => path.strip_prefix("library/").unwrap_or(path),
        Some((host, path)) if host.contains(['.', ':']) => path,
        _ => name,
    }
}

fn cannot_print(error: &io::Error) -> String {
    format!("cannot print the URL: {error}")
}

#[cfg(test)]
mod tests {
    use barge::ops::serve::OfferedRepository;

    use super::*;

    fn offered(names: &[(&str, &[&str])]) -> Offered {
        let repository = |(name, tags): &(&str, &[&str])| OfferedRepository {
            name: (*name).to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        Offered { repositories: names.iter().map(repository).collect() }
    }

    fn listening(address: &str, tls: bool) -> Listening {
        let offered = offered(&[("bundle", &[]), ("ghcr.io/org/app", &["v1"]), ("ghcr.io/org/db", &["v1", "v2"])]);
        Listening { address: address.parse().unwrap(), tls, offered }
    }

    #[test]
    fn what_is_served_is_said_in_three_lines() {
        let places = ["a.tar".to_owned(), "b.tar".to_owned()];
        let said = lines(&listening("127.0.0.1:5000", false), &places, false);
        let expected = [
            "serving a.tar, b.tar: 3 repositories, 3 tags",
            "for this machine alone; --listen :5000 is for others too",
            "try: docker pull 127.0.0.1:5000/org/app:v1",
        ];
        assert_eq!(said, expected);
        let nothing = Listening { offered: Offered::default(), ..listening("127.0.0.1:5000", false) };
        assert_eq!(lines(&nothing, &places[..1], false)[0], "serving a.tar: 0 repositories, 0 tags");
        assert_eq!(lines(&nothing, &places, false).len(), 2);
    }

    #[test]
    fn what_is_much_is_said_short() {
        let places: Vec<String> = (0..1000).map(|at| format!("{at}.tar")).collect();
        let tags: Vec<String> = (0..10_000).map(|at| format!("v{at}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let much = Listening { offered: offered(&[("app", &tags)]), ..listening("127.0.0.1:5000", false) };
        let said = lines(&much, &places, false).join("\n");
        assert!(said.starts_with("serving 0.tar, 1.tar, 2.tar and 997 more: 1 repository, 10000 tags\n"), "{said}");
        assert!(said.len() < 300, "{said}");
    }

    #[test]
    fn who_reaches_it_is_said() {
        for (address, tls, htpasswd, said) in [
            ("127.0.0.1:1", false, false, "for this machine alone"),
            ("[::1]:1", true, true, "for this machine alone"),
            ("10.0.0.5:1", false, false, "reaches 10.0.0.5:1: no TLS (--tls-cert), no password (--htpasswd)"),
            ("10.0.0.5:1", true, false, "reaches 10.0.0.5:1: it asks for no password"),
            ("0.0.0.0:1", true, true, "and has a password"),
            ("[::]:1", false, true, "and has a password"),
        ] {
            let listening = listening(address, tls);
            let lines = lines(&listening, &["x".to_owned()], htpasswd);
            assert!(lines[1].contains(said), "{lines:?}");
            let exposed = address.contains("::]") && htpasswd && !tls;
            assert_eq!(exposed_password(&listening, htpasswd).is_some(), exposed, "{address}");
        }
    }

    #[test]
    fn the_url_is_one_that_works_here() {
        for (address, tls, expected) in [
            ("127.0.0.1:5000", false, "http://127.0.0.1:5000"),
            ("0.0.0.0:5000", true, "https://127.0.0.1:5000"),
            ("[::]:5000", false, "http://127.0.0.1:5000"),
            ("[::1]:5000", false, "http://[::1]:5000"),
            ("10.0.0.5:80", false, "http://10.0.0.5:80"),
        ] {
            assert_eq!(url(&listening(address, tls)), expected);
        }
    }

    #[test]
    fn a_real_image_is_the_example() {
        for (names, expected) in [
            (&[("bundle", &[][..]), ("ghcr.io/org/app", &["v1"])][..], Some(("org/app", "v1"))),
            (&[("docker.io/library/app", &["v1"])], Some(("app", "v1"))),
            (&[("docker.io/org/app", &["v2"]), ("quay.io/org/db", &["v1"])], Some(("org/app", "v2"))),
            // what is meant by org/app is not for this to say
            (&[("ghcr.io/org/app", &["v1"]), ("quay.io/org/app", &["v1"])], Some(("ghcr.io/org/app", "v1"))),
            (&[("my.app", &["latest"])], Some(("my.app", "latest"))),
            (&[("bundle", &[])], None),
            (&[], None),
        ] {
            assert_eq!(example(&offered(names)), expected);
        }
    }
}
