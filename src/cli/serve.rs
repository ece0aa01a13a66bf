//! `barge serve`

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use barge::ops::Error;
use barge::ops::serve::{Observer, ServeOptions, offer, serve};
use barge::text::escaped;
use clap::Args;
use serde_json::json;

use super::Session;
use super::access_log::LogFormat;
use super::host::{Host, Surroundings, counted, offered_as_json};
use super::listen::parse_listen;
use super::ls::current_layout;
use super::report::Report;

/// Serve layouts and archives as a read-only registry, in place.
///
/// docker, podman, containerd, CRI-O and skopeo pull from it; nothing is imported, copied or unpacked. `ghcr.io/org/app:v1` is
/// served as org/app, as ghcr.io/org/app, and to whoever uses it as a mirror of ghcr.io.
///
/// When it listens its URL is printed. What a place gains or loses is seen without a restart. SIGTERM and Ctrl-C end it, after the
/// answers under way.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge serve bundle.tar                                  # then: docker pull 127.0.0.1:5000/org/app:v1
  barge serve --listen :5000 --join amd64.tar arm64.tar   # for others too, as one registry
  barge serve --listen :443 --tls-cert site.crt --tls-key site.key --htpasswd users dist
  barge serve --dry-run bundle.tar                        # what would be served")]
pub(crate) struct ServeArgs {
    /// Where to listen: ADDRESS:PORT, :PORT for every address of this machine, or a port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000", value_parser = parse_listen)]
    listen: SocketAddr,
    /// Make one image of those that have one name and are for different platforms, such as those of two bundles
    #[arg(long)]
    join: bool,
    /// Whether to hash every blob before it is served for the first time [default: those of archives]
    #[arg(long, value_name = "BOOL", default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    read_verify: Option<bool>,
    /// The certificate, and those that lead to its authority, as PEM: TLS is spoken
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Ask for a password: users as `htpasswd -B` writes them
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// How to log requests, on standard error [default: text; json with --json, none with --quiet]
    #[arg(long, value_enum, value_name = "HOW")]
    log: Option<LogFormat>,
    /// How many connections to hold at once
    #[arg(long, value_name = "N", default_value = "4096")]
    max_connections: NonZeroUsize,
    /// How long answers under way may take at the end
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=86_400))]
    grace: u64,
    /// Layouts and archives [default: the current layout]
    #[arg(value_name = "PLACE")]
    places: Vec<String>,
}

impl ServeArgs {
    fn options(&self) -> ServeOptions {
        ServeOptions {
            listen: self.listen,
            join: self.join,
            read_verify: self.read_verify,
            tls: self.tls_cert.clone().zip(self.tls_key.clone()),
            htpasswd: self.htpasswd.clone(),
            connections: self.max_connections.get(),
            grace: Duration::from_secs(self.grace),
        }
    }

    fn format(&self, session: &Session<'_>) -> LogFormat {
        match self.log {
            Some(format) => format,
            None if session.global.json => LogFormat::Json,
            None if session.global.quiet => LogFormat::None,
            None => LogFormat::Text,
        }
    }
}

pub(crate) fn run(args: &ServeArgs, session: &Session<'_>) -> Result<Report, Error> {
    let words = match args.places.as_slice() {
        [] => vec![current_place(session)?],
        places => places.to_vec(),
    };
    let surroundings = Surroundings {
        places: words.iter().map(|word| escaped(word)).collect(),
        htpasswd: args.htpasswd.is_some(),
        json: session.global.json,
        answered: Arc::clone(&session.answered),
    };
    let host = Arc::new(Host::new(surroundings, args.format(session), session.global.quiet, &session.ui));
    let observer: Arc<dyn Observer> = Arc::<Host>::clone(&host);
    if session.global.dry_run {
        return dry_run(args, &words, session, &observer);
    }
    if session.global.no_network {
        return Err(Error::Usage {
            message: "cannot serve: --no-network forbids it".to_owned(),
            hint: Some("--dry-run shows what would be served".to_owned()),
        });
    }
    let served = serve(&words, &args.options(), &session.context(), &observer);
    host.end();
    served.map(|()| Report::default())
}

/// Shows what would be served: each tag of each repository.
fn dry_run(
    args: &ServeArgs,
    words: &[String],
    session: &Session<'_>,
    observer: &Arc<dyn Observer>,
) -> Result<Report, Error> {
    let offered = offer(words, &args.options(), &session.context(), observer)?;
    let mut report = Report::default();
    for repository in &offered.repositories {
        let name = escaped(&repository.name);
        match repository.tags.as_slice() {
            [] => report.text.extend_from_slice(format!("{name}\n").as_bytes()),
            tags => {
                let lines = tags.iter().map(|tag| format!("{name}:{}\n", escaped(tag)));
                report.text.extend_from_slice(lines.collect::<String>().as_bytes());
            }
        }
    }
    session.ui.say(&format!("{}; nothing is served in a dry run", counted(&offered)));
    report.results.push(json!({"places": words, "repositories": offered_as_json(&offered), "dryRun": true}));
    Ok(report)
}

/// Returns the current layout as a word that means nothing else.
fn current_place(session: &Session<'_>) -> Result<String, Error> {
    let layout = current_layout(session)?;
    let text = layout.to_str().ok_or_else(|| Error::Usage {
        message: format!("cannot serve {}: its name is no UTF-8", escaped(&layout.to_string_lossy())),
        hint: Some("give it another name, or go there and say `barge serve .`".to_owned()),
    })?;
    let is_path = layout.is_absolute() || text == "." || text.starts_with("./") || text.starts_with("../");
    Ok(if is_path { text.to_owned() } else { format!("./{text}") })
}
