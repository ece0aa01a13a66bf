//! Signs tokens that distribution 2.8.2 accepts: docs/spec/auth/jwt.md, registry/auth/token/token.go.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use serde_json::{Value, json};

use super::authority::{openssl, run};

pub const ISSUER: &str = "a test";
pub const SERVICE: &str = "the registry of a test";

/// The registry accepts a token for a minute after `exp` (`Leeway` in registry/auth/token/token.go; the harness proves
/// it). What is to end after a few seconds has its `exp` in the past.
const LEEWAY: f64 = 60.0;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// What may be done with something: `repository`, a name, `pull`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub kind: String,
    /// In rules, `*` at the end stands for any end.
    pub name: String,
    pub actions: Vec<String>,
}

impl Grant {
    pub fn new(kind: &str, name: &str, actions: &[&str]) -> Self {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Self { kind: kind.to_owned(), name: name.to_owned(), actions }
    }

    pub fn repository(name: &str, actions: &[&str]) -> Self {
        Self::new("repository", name, actions)
    }

    pub fn catalog() -> Self {
        Self::new("registry", "catalog", &["*"])
    }

    /// Reads a scope: `repository:team/image:pull,push`. The kind has no colon, the name may.
    pub fn of_scope(scope: &str) -> Option<Self> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        Some(Self::new(kind, name, &actions.split(',').filter(|action| !action.is_empty()).collect::<Vec<_>>()))
    }

    pub fn scope(&self) -> String {
        format!("{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }

    /// The actions of a wish that a rule allows.
    pub(super) fn allows(&self, wish: &Self) -> Vec<String> {
        let named = match self.name.strip_suffix('*') {
            Some(start) => wish.name.starts_with(start),
            None => wish.name == self.name,
        };
        let own = |action: &&String| self.actions.contains(*action);
        if named && self.kind == wish.kind { wish.actions.iter().filter(own).cloned().collect() } else { Vec::new() }
    }
}

/// A key, and the certificate by which the registry knows it.
#[derive(Debug)]
pub(super) struct Signer {
    directory: tempfile::TempDir,
    /// The certificate as `x5c` has it: base64 of DER.
    chain: String,
}

impl Signer {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let arguments = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tokens -keyout key.pem -out root.pem";
        run(openssl(directory.path()).args(arguments.split(' ')));
        let der = run(openssl(directory.path()).args("x509 -in root.pem -outform DER".split(' ')));
        Self { directory, chain: super::http::base64(der) }
    }

    /// The file for the registry's `rootcertbundle`.
    pub(super) fn bundle(&self) -> std::path::PathBuf {
        self.directory.path().join("root.pem")
    }

    /// A token that the registry accepts for so many seconds, and up to one more.
    pub(super) fn token(&self, subject: &str, access: &[Grant], seconds: f64) -> String {
        self.signed(&claims(subject, access, seconds - LEEWAY))
    }

    pub(super) fn signed(&self, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [self.chain]});
        let text = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let mut command = openssl(self.directory.path());
        command.args(["dgst", "-sha256", "-sign", "key.pem"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let signature = piped(&mut command, text.as_bytes());
        format!("{text}.{}", encoded(signature))
    }
}

/// What a token says, with an `exp` that is so far away.
pub(super) fn claims(subject: &str, access: &[Grant], exp: f64) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    #[allow(clippy::cast_possible_truncation)] // seconds of this century
    let (now, end) = (now as i64, (now + exp).ceil() as i64);
    let access: Vec<Value> =
        access.iter().map(|one| json!({"type": one.kind, "name": one.name, "actions": one.actions})).collect();
    let id = format!("{now}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    json!({
        "iss": ISSUER, "sub": subject, "aud": SERVICE, "exp": end, "nbf": now - 120, "iat": now, "jti": id,
        "access": access,
    })
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}: {}", command.get_program(), output.status);
    output.stdout
}
