//! `barge key`: make keys to sign with, and see what belongs to them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use barge::ops::Error;
use barge::signing::{KeyError, KeyType, Password, PrivateKey, PublicKey};
use barge::store::StoreError;
use barge::store::beside::{SmallFile, sync_name};
use barge::text::escaped;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::Session;
use super::keys::{ask, given_password, private_key, public_key, wrong};
use super::report::Report;

/// Make keys to sign with, as cosign and openssl take them too, and print the public key of a private one.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge key generate -o release   # release.key, encrypted, and release.pub
  barge key public release.key
  openssl pkey -pubin -in release.pub -text")]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand, Debug)]
enum KeyCommand {
    Generate(GenerateArgs),
    Public(PublicArgs),
}

/// Make a private key and its public key: PREFIX.key, which only you can read, and PREFIX.pub.
///
/// The private key is encrypted with a password: $BARGE_PASSWORD, else $COSIGN_PASSWORD, else what you type. cosign reads both
/// files.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge key generate -o release
  barge key generate --type ed25519 --no-password -o /media/safe/release")]
struct GenerateArgs {
    /// Which type of key
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value = "p256")]
    key_type: TypeArg,
    /// How the files begin: PREFIX.key and PREFIX.pub
    #[arg(short, long, value_name = "PREFIX")]
    output: PathBuf,
    /// Write the private key as it is: whoever has the file can sign
    #[arg(long)]
    no_password: bool,
    /// Replace files that are there: the old private key is then lost
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypeArg {
    /// ECDSA on P-256: what cosign makes
    P256,
    /// Ed25519
    Ed25519,
}

/// Print a public key in PEM: the one that belongs to a private key, or the one in the file.
///
/// Its fingerprint goes to standard error: it is the SHA-256 of the key in DER.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge key public release.key > release.pub
  barge key public --json release.pub | jq -r '.results[].fingerprint'")]
struct PublicArgs {
    /// The file with the key
    #[arg(value_name = "KEY")]
    key: PathBuf,
}

pub(crate) fn run(args: &KeyArgs, session: &Session<'_>) -> Result<Report, Error> {
    match &args.command {
        KeyCommand::Generate(args) => generate(args, session),
        KeyCommand::Public(args) => public(args, session),
    }
}

fn public(args: &PublicArgs, session: &Session<'_>) -> Result<Report, Error> {
    let key = match public_key(&args.key) {
        Err(Error::Key { error: KeyError::Private, .. }) => private_key(&args.key)?.public_key(),
        other => other?,
    };
    session.ui.say(&format!("{} {}", key.key_type(), key.fingerprint()));
    Ok(report(&key, key.to_pem(), &[]))
}

fn generate(args: &GenerateArgs, session: &Session<'_>) -> Result<Report, Error> {
    let [private, public] = [".key", ".pub"].map(|suffix| with_suffix(&args.output, suffix));
    if args.output.file_name().is_none() {
        return Err(Error::Usage {
            message: format!("cannot make files that begin with {}", escaped(&args.output.to_string_lossy())),
            hint: Some("give the beginning of a name: `-o release` makes release.key and release.pub".to_owned()),
        });
    }
    if !args.force {
        for path in [&private, &public] {
            if is_there(path)? {
                return Err(there(path, &args.output));
            }
        }
    }
    if session.global.dry_run {
        let names = [&private, &public].map(|path| escaped(&path.to_string_lossy()));
        session.ui.say(&format!("would write {} and {}", names[0], names[1]));
        let result = json!({"privateKey": private, "publicKey": public, "dryRun": true});
        return Ok(Report { results: vec![result], ..Report::default() });
    }
    let password = if args.no_password { none_given()? } else { Some(new_password()?) };
    let key_type = match args.key_type {
        TypeArg::P256 => KeyType::P256,
        TypeArg::Ed25519 => KeyType::Ed25519,
    };
    let key = PrivateKey::generate(key_type).map_err(wrong("make the private key", &private))?;
    let pem = match &password {
        Some(password) => key.to_encrypted_pem(password).map(Into::into),
        None => key.to_pem(),
    };
    let pem = pem.map_err(wrong("make the private key", &private))?;
    // both are whole before either has its name
    let files = [
        SmallFile::write(&private, pem.as_bytes(), 0o600)?,
        SmallFile::write(&public, key.public_key().to_pem().as_bytes(), 0o644)?,
    ];
    if args.force {
        // the old public key never stands beside the new private one
        match std::fs::remove_file(&public) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &public)(error).into());
            }
            _ => {}
        }
    }
    for (file, path) in files.into_iter().zip([&private, &public]) {
        if args.force {
            file.replace()?;
        } else if !file.name()? {
            return Err(there(path, &args.output));
        }
    }
    sync_name(&private)?;
    let [private, public] = [private, public].map(|path| path.to_string_lossy().into_owned());
    let how = if password.is_some() { "encrypted" } else { "not encrypted: keep it safe" };
    session.ui.say(&format!("wrote {} ({how}) and {}", escaped(&private), escaped(&public)));
    let public_key = key.public_key();
    let text = format!("{}\n", public_key.fingerprint());
    let more = [
        ("privateKey", json!(private)),
        ("publicKey", json!(public)),
        ("encrypted", json!(password.is_some())),
        ("dryRun", json!(false)),
    ];
    Ok(report(&public_key, text, &more))
}

fn report(key: &PublicKey, text: String, more: &[(&str, serde_json::Value)]) -> Report {
    let mut result =
        json!({"type": key.key_type().name(), "fingerprint": key.fingerprint().to_string(), "pem": key.to_pem()});
    for (name, value) in more {
        result[*name] = value.clone();
    }
    Report { text: text.into_bytes(), results: vec![result], ..Report::default() }
}

/// Returns a path with something behind its last name.
pub(super) fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(prefix);
    path.push(suffix);
    path.into()
}

fn is_there(path: &Path) -> Result<bool, Error> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("read", path)(error).into()),
    }
}

fn there(path: &Path, prefix: &Path) -> Error {
    let [private, public] = [".key", ".pub"].map(|suffix| with_suffix(prefix, suffix));
    let message = format!("cannot write {}: it is there already", escaped(&path.to_string_lossy()));
    // a run that was killed between the two may have left the first
    let hint = if path == private && public.symlink_metadata().is_err() {
        let [private, public] = [private, public].map(|path| escaped(&path.to_string_lossy()));
        format!("`barge key public {private} > {public}` writes what belongs to it; or give another PREFIX, or --force")
    } else {
        "give another PREFIX, or replace the old keys, which are then gone, with --force".to_owned()
    };
    Error::Unsupported { message, cause: None, hint: Some(hint) }
}

/// Returns that there is no password, unless the environment says otherwise.
fn none_given() -> Result<Option<Password>, Error> {
    match given_password() {
        Some((name, password)) if !password.is_empty() => Err(Error::Usage {
            message: format!("cannot tell whether to encrypt the key: --no-password is there, and {name} too"),
            hint: Some(format!("leave one out: `unset {name}`")),
        }),
        _ => Ok(None),
    }
}

/// Returns the password for a new key: never an empty one by accident.
fn new_password() -> Result<Password, Error> {
    let unusable = |message: &str, hint: &str| {
        Err(Error::Usage { message: format!("cannot make a key: {message}"), hint: Some(hint.to_owned()) })
    };
    let asked = || "cannot make a key".to_owned();
    let password = match given_password() {
        Some((_, password)) => password,
        None => {
            let password = ask("Password for the new key: ", asked)?;
            if ask("The same password again: ", asked)? != password {
                return unusable("the two passwords differ", "type the same one twice");
            }
            password
        }
    };
    match password.is_empty() {
        true => unusable("the password is empty", "type one, or have a key that is not encrypted with --no-password"),
        false => Ok(password),
    }
}
