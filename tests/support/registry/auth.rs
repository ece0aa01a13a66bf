//! Who may do what: Basic, and Bearer with scopes that are really enforced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::script::{Answer, matches};
use super::wire::Request;

/// Tokens are numbered over all the registries of a test: one may accept what another has issued.
static SERIAL: AtomicUsize = AtomicUsize::new(1);

/// What the registry asks of everybody.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    #[default]
    None,
    Basic {
        user: String,
        password: String,
    },
    Bearer(Bearer),
}

impl Auth {
    pub fn basic(user: &str, password: &str) -> Self {
        let [user, password] = [user, password].map(str::to_owned);
        Self::Basic { user, password }
    }

    /// Tokens from `/token` of the registry itself, for one user.
    pub fn bearer(user: &str, password: &str) -> Self {
        Self::Bearer(Bearer { users: vec![(user.to_owned(), password.to_owned())], ..Bearer::default() })
    }
}

/// Tokens: both the registry that asks for them and the server that issues them, at `/token` of the same address.
///
/// A token states its scopes itself, so any registry of a test accepts what another one has issued: for a realm elsewhere,
/// start a second registry with the users and give the first one `realm: Some(format!("{}/token", second.url()))`.
#[derive(Clone, Debug, Default)]
pub struct Bearer {
    /// The realm of the challenge; by default `/token` of the registry itself.
    pub realm: Option<String>,
    /// By default, as the address of the registry.
    pub service: Option<String>,
    /// Names and passwords.
    pub users: Vec<(String, String)>,
    /// Names and identity tokens, for `grant_type=refresh_token`.
    pub refresh_tokens: Vec<(String, String)>,
    /// Whether somebody without credentials gets tokens to pull.
    pub anonymous_pull: bool,
    /// Users that are granted `pull` alone.
    pub pull_only: Vec<String>,
    /// Patterns of repositories for which nothing is granted to anybody.
    pub denied: Vec<String>,
    /// After so many requests a token is refused as `invalid_token`.
    pub uses: Option<usize>,
    /// `POST /token` is answered by 405: `GET` is all there is.
    pub no_post_token: bool,
    /// The token's name in the answer: both `token` and `access_token` when there is none.
    pub token_field: Option<&'static str>,
    /// What a token does not allow is answered by 403, as some registries do, and not by 401 and a challenge.
    pub insufficient_is_403: bool,
}

/// What a request needs: repositories, or `registry:catalog`, and actions.
pub type Needs = BTreeMap<String, BTreeSet<&'static str>>;

/// The tokens that one registry has seen.
#[derive(Debug, Default)]
pub struct Tokens {
    uses: BTreeMap<String, usize>,
    revoked_before: usize,
}

impl Tokens {
    pub fn revoke(&mut self) {
        self.revoked_before = SERIAL.fetch_add(1, Ordering::Relaxed);
    }
}

/// Issues a token for scopes such as `repository:app:pull,push`.
pub fn token_for(scopes: &[String]) -> String {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("{serial}.{}", URL_SAFE_NO_PAD.encode(json!(scopes).to_string()))
}

/// Returns the number and the scopes of a token.
fn read_token(token: &str) -> Option<(usize, Vec<String>)> {
    let (serial, scopes) = token.split_once('.')?;
    let scopes = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(scopes).ok()?).ok()?;
    Some((serial.parse().ok()?, scopes))
}

/// Returns the user and the password of a Basic header.
pub fn read_basic(header: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn allows(scopes: &[String], resource: &str, action: &str) -> bool {
    scopes.iter().any(|scope| {
        let (of, actions) = scope.rsplit_once(':').unwrap_or_default();
        of == resource && actions.split(',').any(|is| is == action || is == "*")
    })
}

/// Returns the scopes as a challenge states them.
fn scopes_of(needs: &Needs) -> String {
    let scope = |(resource, actions): (&String, &BTreeSet<&str>)| {
        format!("{resource}:{}", actions.iter().copied().collect::<Vec<_>>().join(","))
    };
    needs.iter().map(scope).collect::<Vec<_>>().join(" ")
}

fn unauthorized(challenge: &str, message: &str) -> Answer {
    Answer::error(401, "UNAUTHORIZED", message).header("WWW-Authenticate", challenge)
}

/// Returns the refusal of a request that may not be carried out.
pub fn refusal(auth: &Auth, tokens: &mut Tokens, host: &str, request: &Request, needs: &Needs) -> Option<Answer> {
    match auth {
        Auth::None => None,
        Auth::Basic { user, password } => {
            let given = request.header("authorization").and_then(read_basic);
            let right = given.is_some_and(|given| given.0 == *user && given.1 == *password);
            (!right).then(|| unauthorized(r#"Basic realm="fake""#, "authentication required"))
        }
        Auth::Bearer(bearer) => bearer.refusal(tokens, host, request, needs),
    }
}

impl Bearer {
    fn refusal(&self, tokens: &mut Tokens, host: &str, request: &Request, needs: &Needs) -> Option<Answer> {
        let realm = self.realm.clone().unwrap_or_else(|| format!("http://{host}/token"));
        let mut challenge = format!(r#"Bearer realm="{realm}",service="{}""#, self.service(host));
        if !needs.is_empty() {
            challenge += &format!(r#",scope="{}""#, scopes_of(needs));
        }
        let header = request.header("authorization").unwrap_or_default();
        let Some(token) = header.strip_prefix("Bearer ") else {
            return Some(unauthorized(&challenge, "authentication required"));
        };
        let used = tokens.uses.entry(token.to_owned()).or_default();
        *used += 1;
        let worn = self.uses.is_some_and(|most| *used > most);
        let scopes = match read_token(token) {
            Some((serial, scopes)) if !worn && serial > tokens.revoked_before => scopes,
            _ => return Some(unauthorized(&format!(r#"{challenge},error="invalid_token""#), "the token is not valid")),
        };
        let allowed =
            needs.iter().all(|(resource, actions)| actions.iter().all(|action| allows(&scopes, resource, action)));
        if allowed {
            None
        } else if self.insufficient_is_403 {
            Some(Answer::error(403, "DENIED", "requested access to the resource is denied"))
        } else {
            Some(unauthorized(&format!(r#"{challenge},error="insufficient_scope""#), "the token does not allow this"))
        }
    }

    pub fn service(&self, host: &str) -> String {
        self.service.clone().unwrap_or_else(|| host.to_owned())
    }

    /// Returns what is granted of what is asked; nobody in particular may pull at most.
    pub fn granted(&self, user: Option<&str>, asked: &[String]) -> Vec<String> {
        let pull_only = user.is_none_or(|user| self.pull_only.iter().any(|name| name == user));
        let grant = |scope: &String| {
            let (resource, actions) = scope.rsplit_once(':')?;
            let repository = resource.strip_prefix("repository:").unwrap_or(resource);
            let denied = self.denied.iter().any(|pattern| matches(pattern, repository));
            let actions: Vec<&str> = actions.split(',').filter(|action| !pull_only || *action == "pull").collect();
            (!denied && !actions.is_empty()).then(|| format!("{resource}:{}", actions.join(",")))
        };
        asked.iter().filter_map(grant).collect()
    }
}
