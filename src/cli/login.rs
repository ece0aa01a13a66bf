//! `barge login` and `barge logout`

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use barge::ops::Error;
use barge::reference::parse_host;
use barge::store::StoreError;
use barge::store::registry::credentials::{Credential, Keyring, Secret};
use clap::Args;
use serde_json::json;

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;

/// How long a password may be, in bytes.
const LONGEST_PASSWORD: u64 = 64 * 1024;

/// Log in to a registry: the password is tried, and kept where docker, podman and skopeo find it too.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge login quay.io
  echo \"$TOKEN\" | barge login -u robot --password-stdin registry.example:5000")]
pub(crate) struct LoginArgs {
    /// The user
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Print the user that is logged in, and change nothing
    #[arg(long, conflicts_with_all = ["username", "password_stdin"])]
    get_login: bool,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The registry: HOST[:PORT]
    #[arg(value_name = "HOST")]
    host: String,
}

/// Log out of a registry: what `barge login`, docker or podman have kept is forgotten.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge logout quay.io
  barge logout --authfile auth.json registry.example:5000")]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The registry: HOST[:PORT]
    #[arg(value_name = "HOST")]
    host: String,
}

pub(crate) fn run(args: &LoginArgs, session: &Session<'_>) -> Result<Report, Error> {
    let host = parse_host(&args.host)?;
    let mut keyring = args.network.keyring()?;
    if args.get_login {
        return get_login(&keyring, &host);
    }
    let (username, password) = match keyring.given.take() {
        Some(given) => given,
        None => ask(args, &host)?,
    };
    let credential = Credential::Password { username: username.clone(), password: password.clone() };
    let trying = Keyring { given: Some((username.clone(), password)), ..keyring.clone() };
    let registries = args.network.registries_with(session.global, &session.cancel, session.notice(), trying)?;
    registries.log_in(&host)?;
    let mut report = Report::default();
    let file = keyring.file_to_write(&host)?;
    if session.global.dry_run {
        session.ui.say(&format!("would keep the password for {username} in {}", file.path.display()));
    } else {
        let keeper = keyring.store(&host, &credential, &file)?;
        session.ui.say(&format!("logged in to {host} as {}; kept in {keeper}", barge::text::escaped(&username)));
    }
    report.results.push(json!({"registry": host, "username": username, "dryRun": session.global.dry_run}));
    Ok(report)
}

fn get_login(keyring: &Keyring, host: &str) -> Result<Report, Error> {
    let absent = || Error::Absent {
        message: format!("cannot find a login to {host}"),
        cause: None,
        hint: Some(format!("log in with `barge login {host}`")),
    };
    let found = keyring.find(host, "")?.ok_or_else(absent)?;
    let username = match &found.credential {
        Credential::Password { username, .. } => username.clone(),
        Credential::IdentityToken(_) | Credential::RegistryToken(_) => "<token>".to_owned(),
    };
    let mut report =
        Report { text: format!("{}\n", barge::text::escaped(&username)).into_bytes(), ..Report::default() };
    report.results.push(json!({"registry": host, "username": username, "keptIn": found.keeper.to_string()}));
    Ok(report)
}

/// Asks for what was not given.
fn ask(args: &LoginArgs, host: &str) -> Result<(String, Secret), Error> {
    let missing = |what: &str, hint: &str| Error::Usage {
        message: format!("cannot log in to {host}: {what}"),
        hint: Some(hint.to_owned()),
    };
    let stdin_error = StoreError::io("read", "standard input");
    if args.password_stdin {
        let Some(username) = args.username.clone() else {
            return Err(missing("--password-stdin needs a user", "give the user with -u USER"));
        };
        let mut password = String::new();
        let read = std::io::stdin().lock().take(LONGEST_PASSWORD).read_to_string(&mut password);
        read.map_err(stdin_error)?;
        // the end of the line is no part of it, as with docker
        let password = password.strip_suffix('\n').unwrap_or(&password);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err(missing("the password is empty", "pipe it in: `... | barge login --password-stdin`"));
        }
        return Ok((username, Secret::new(password)));
    }
    if !std::io::stdin().is_terminal() {
        let hint = "pipe the password in with -u USER --password-stdin";
        return Err(missing("there is no terminal to ask for the password at", hint));
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None => ask_user().map_err(StoreError::io("read", "the terminal"))?,
    };
    let password = rpassword::prompt_password("Password: ").map_err(StoreError::io("read", "the terminal"))?;
    if username.is_empty() || password.is_empty() {
        return Err(missing("the user or the password is empty", "type both"));
    }
    Ok((username, Secret::new(password)))
}

/// Asks for the user at the terminal.
fn ask_user() -> std::io::Result<String> {
    let mut error = std::io::stderr();
    error.write_all(b"User: ")?;
    error.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().take(LONGEST_PASSWORD).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

pub(crate) fn logout(args: &LogoutArgs, session: &Session<'_>) -> Result<Report, Error> {
    let host = parse_host(&args.host)?;
    let keyring = args.network.keyring()?;
    let mut kept = Vec::new();
    let files = match &keyring.authfile {
        Some(path) => vec![barge::store::registry::credentials::AuthFile::named(path)],
        None => keyring.files.clone(),
    };
    for file in &files {
        if session.global.dry_run {
            if file.path.exists() {
                session.ui.say(&format!("would look into {}", file.path.display()));
            }
        } else if file.form != barge::store::registry::credentials::Form::Legacy {
            kept.extend(keyring.erase(&host, file)?);
        }
    }
    let mut report = Report::default();
    let places: Vec<String> = kept.iter().map(ToString::to_string).collect();
    if places.is_empty() && !session.global.dry_run {
        session.ui.say(&format!("nothing to do: there is no login to {host}"));
    }
    for place in &places {
        session.ui.say(&format!("logged out of {host}: {place}"));
    }
    report.results.push(json!({"registry": host, "removedFrom": places, "dryRun": session.global.dry_run}));
    Ok(report)
}
