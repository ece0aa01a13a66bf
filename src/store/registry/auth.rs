//! Authentication: what a registry asks for, and the tokens it takes (distribution-spec v1.1.1 leaves it open; this is
//! docker's token authentication, distribution v3.0.0, docs/content/spec/auth/token.md and oauth.md).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::Value;
use ureq::http::Method;
use ureq::http::header::{self, HeaderValue};

use super::address::{Origin, Url, percent_encoded};
use super::answer::{Answer, Complaint};
use super::challenge::Challenge;
use super::credentials::{Credential, Secret};
use super::http::{Body, ExchangeError, Http, Request};

/// How large the answer of a token server may be, in bytes.
const LARGEST_TOKEN: u64 = 1024 * 1024;
/// How long a token is good for when nobody says (token.md, "expires_in").
const USUAL_LIFETIME: Duration = Duration::from_secs(60);
/// How long before its end a token is not used any more, at most.
const SLACK: Duration = Duration::from_secs(10);
/// Who we are to a token server.
const CLIENT: &str = "barge";

/// What may be done to what: `repository:library/app:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Scope(String);

impl Scope {
    pub(super) fn pull(repository: &str) -> Self {
        Self(format!("repository:{repository}:pull"))
    }

    pub(super) fn push(repository: &str) -> Self {
        Self(format!("repository:{repository}:pull,push"))
    }

    pub(super) fn delete(repository: &str) -> Self {
        Self(format!("repository:{repository}:delete,pull"))
    }

    pub(super) fn catalog() -> Self {
        Self("registry:catalog:*".to_owned())
    }
}

/// Why there is no authorization to send.
#[derive(Debug)]
pub(super) enum AuthError {
    /// The exchange with the token server failed.
    Exchange(ExchangeError),
    /// The token server said no, or something that is no token.
    Answer(Box<Complaint>),
    /// The registry has refused what there is to show, and is not shown it again.
    Refused,
    /// The registry sends us to a place where no credential may go, or it cannot be understood.
    Unusable(String),
}

struct Token {
    value: Secret,
    until: Instant,
}

/// What token servers have given, and to whom they gave nothing.
#[derive(Default)]
struct Tokens {
    held: HashMap<BTreeSet<Scope>, Token>,
    refused: Vec<(Credential, Complaint)>,
    /// Who was given some token: what else is refused to them is no fault of the password.
    accepted: Vec<Credential>,
}

/// What one registry wants to see, and has given.
#[derive(Default)]
pub(super) struct Authenticator {
    challenge: Mutex<Option<Challenge>>,
    // held while a token is fetched: lanes that need the same one wait for it
    tokens: Mutex<Tokens>,
    /// Whether what was shown in the way of Basic was accepted.
    tried: Mutex<HashMap<String, bool>>,
}

/// The first use of a password: as long as it is not known what becomes of it, nobody else shows it. Whoever types a wrong
/// one would else use up, with one command, all the tries before an account is locked.
pub(super) struct Trial<'a> {
    tried: MutexGuard<'a, HashMap<String, bool>>,
    shown: String,
}

impl Trial<'_> {
    /// Takes note of what the registry answered.
    pub(super) fn answered(mut self, answer: &Answer) {
        self.tried.insert(std::mem::take(&mut self.shown), answer.code() != 401);
    }
}

impl Authenticator {
    /// Takes note of what a 401 asks for.
    pub(super) fn challenged(&self, answer: &Answer) -> Option<Challenge> {
        let challenge = Challenge::strongest(&answer.headers)?;
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).replace(challenge.clone());
        Some(challenge)
    }

    /// Returns whether the registry wants tokens of a server, which knows users.
    pub(super) fn gives_tokens(&self) -> bool {
        matches!(*self.challenge.lock().unwrap_or_else(PoisonError::into_inner), Some(Challenge::Bearer { .. }))
    }

    /// Takes note of a 401. Returns whether there is something to show that was not shown, such as a fresh token.
    pub(super) fn refused(&self, answer: &Answer, credential: Option<&Credential>, scopes: &BTreeSet<Scope>) -> bool {
        let shown = answer.authorization.as_ref();
        let shown_token = shown.is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
        match (self.challenged(answer), credential) {
            (None, _) => false,
            (_, Some(Credential::RegistryToken(_))) => !shown_token,
            (Some(Challenge::Basic), Some(Credential::Password { .. })) => shown.is_none() || shown_token,
            (Some(Challenge::Basic), _) => false,
            (Some(Challenge::Bearer { .. }), _) => {
                let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                // another lane may have a new one already
                let is_it = |token: &Token| sensitive("Bearer", token.value.expose()).ok().as_ref() == shown;
                if tokens.held.get(scopes).is_some_and(is_it) {
                    tokens.held.remove(scopes);
                }
                true
            }
        }
    }

    /// Returns what to tell of the answer to a request that shows a password for the first time; nothing for one that was
    /// accepted before, or for a token.
    ///
    /// # Errors
    /// When it was refused before, and is not to be shown again.
    pub(super) fn trial(&self, authorization: &HeaderValue) -> Result<Option<Trial<'_>>, AuthError> {
        let Some(shown) = authorization.to_str().ok().filter(|text| text.starts_with("Basic ")) else {
            return Ok(None);
        };
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        match tried.get(shown) {
            Some(true) => Ok(None),
            Some(false) => Err(AuthError::Refused),
            None => Ok(Some(Trial { tried, shown: shown.to_owned() })),
        }
    }

    /// Returns what to send: nothing as long as nothing was asked for.
    pub(super) fn authorization(
        &self,
        http: &Http,
        own: &Origin,
        credential: Option<&Credential>,
        scopes: &BTreeSet<Scope>,
    ) -> Result<Option<HeaderValue>, AuthError> {
        let challenge = self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (challenge, credential) {
            (None, _) => Ok(None),
            (Some(_), Some(Credential::RegistryToken(token))) => sensitive("Bearer", token.expose()).map(Some),
            (Some(Challenge::Basic), Some(Credential::Password { username, password })) => {
                basic(username, password).map(Some)
            }
            (Some(Challenge::Basic), _) => Ok(None),
            (Some(Challenge::Bearer { realm, service, scope }), credential) => {
                let mut wanted = scopes.clone();
                if wanted.is_empty() {
                    // nothing of ours is asked for, as in a login: what the registry itself names is enough
                    wanted.extend(scope.iter().flat_map(|scope| scope.split(' ')).map(|one| Scope(one.to_owned())));
                }
                let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(token) = tokens.held.get(scopes).filter(|token| Instant::now() < token.until) {
                    return sensitive("Bearer", token.value.expose()).map(Some);
                }
                let same = |(refused, _): &&(Credential, Complaint)| Some(refused) == credential;
                if let Some((_, complaint)) = tokens.refused.iter().find(same) {
                    return Err(AuthError::Answer(Box::new(complaint.clone())));
                }
                let fetched = fetch(http, own, &realm, service.as_deref(), credential, &wanted);
                if let (Err(AuthError::Answer(complaint)), Some(credential)) = (&fetched, credential)
                    && complaint.status.as_u16() == 401
                    && !tokens.accepted.contains(credential)
                {
                    tokens.refused.push((credential.clone(), (**complaint).clone()));
                }
                let token = fetched?;
                if let Some(credential) = credential.filter(|credential| !tokens.accepted.contains(credential)) {
                    tokens.accepted.push(credential.clone());
                }
                let value = sensitive("Bearer", token.value.expose())?;
                tokens.held.insert(scopes.clone(), token);
                Ok(Some(value))
            }
        }
    }
}

/// Returns a header value that is not shown by accident. Line breaks are refused by the type itself.
fn sensitive(scheme: &str, text: &str) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {text}"))
        .map_err(|_| AuthError::Unusable("the token holds characters that no header can".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn basic(username: &str, password: &Secret) -> Result<HeaderValue, AuthError> {
    let text = format!("{username}:{}", password.expose());
    sensitive("Basic", &base64::engine::general_purpose::STANDARD.encode(text))
}

/// Gets a token: with a password in the way of token.md, with an identity token in the way of oauth.md.
fn fetch(
    http: &Http,
    own: &Origin,
    realm: &str,
    service: Option<&str>,
    credential: Option<&Credential>,
    scopes: &BTreeSet<Scope>,
) -> Result<Token, AuthError> {
    let realm = usable_realm(own, realm)?;
    let unusable = || AuthError::Unusable("the address of its token server is too long".to_owned());
    let mut headers = vec![(header::ACCEPT, HeaderValue::from_static("application/json"))];
    let asked_at = Instant::now();
    let answer = if let Some(Credential::IdentityToken(token)) = credential {
        let mut form = format!("grant_type=refresh_token&client_id={CLIENT}");
        form.push_str(&format!("&refresh_token={}", percent_encoded(token.expose())));
        if let Some(service) = service {
            form.push_str(&format!("&service={}", percent_encoded(service)));
        }
        let list: Vec<&str> = scopes.iter().map(|scope| scope.0.as_str()).collect();
        form.push_str(&format!("&scope={}", percent_encoded(&list.join(" "))));
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")));
        http.exchange(Request { method: Method::POST, url: realm, headers, body: Body::Bytes(form.as_bytes()) })
    } else {
        let mut url = realm;
        if let Some(service) = service {
            url = url.with_query("service", service).ok_or_else(unusable)?;
        }
        for scope in scopes {
            url = url.with_query("scope", &scope.0).ok_or_else(unusable)?;
        }
        if let Some(Credential::Password { username, password }) = credential {
            url = url.with_query("account", username).ok_or_else(unusable)?;
            headers.push((header::AUTHORIZATION, basic(username, password)?));
        }
        http.exchange(Request { method: Method::GET, url, headers, body: Body::None })
    };
    let answer = answer.map_err(AuthError::Exchange)?;
    if !answer.status.is_success() {
        return Err(AuthError::Answer(Box::new(answer.into_complaint())));
    }
    let cut = |error: std::io::Error| {
        let reason = format!("the answer of the token server broke off: {error}");
        AuthError::Exchange(ExchangeError::Network { reason, hint: None, plain: false, unconnected: false })
    };
    let body = answer.read_at_most(LARGEST_TOKEN).map_err(cut)?;
    let body = body.ok_or_else(|| AuthError::Unusable("the answer of its token server is too large".to_owned()))?;
    read_token(&body, asked_at)
        .ok_or_else(|| AuthError::Unusable("the answer of its token server holds no token".to_owned()))
}

fn read_token(body: &[u8], asked_at: Instant) -> Option<Token> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let token = text("token").or_else(|| text("access_token"))?;
    let lifetime = value.get("expires_in").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    let lifetime = lifetime.map_or(USUAL_LIFETIME, |seconds| Duration::from_secs(seconds.min(24 * 60 * 60)));
    // one that lives for seconds is used for most of them
    let until = asked_at + lifetime.saturating_sub(SLACK.min(lifetime / 4));
    Some(Token { value: Secret::new(token), until })
}

/// A registry may send us, with a password in hand, to a token server elsewhere: by https only, and to no address inside
/// of networks that its name does not tell of.
fn usable_realm(own: &Origin, realm: &str) -> Result<Url, AuthError> {
    let refused = |why: &str| {
        let realm = crate::text::quoted(realm);
        Err(AuthError::Unusable(format!("its token server {realm} is not asked: {why}")))
    };
    let Some(url) = Url::parse(realm) else { return refused("that is no address of a token server") };
    let origin = url.origin();
    let inside = own.is_loopback() && origin.is_loopback();
    if origin == *own || (inside && (origin.https || !own.https)) {
        return Ok(url);
    }
    if !origin.https {
        return refused("it is reached without TLS, and a password would go there");
    }
    if origin.host != own.host && (origin.is_loopback() || origin.address().is_some()) {
        return refused("it is an address and no name");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_only_where_it_may() {
        // a registry on this machine may do without TLS
        let own = |host: &str| {
            let (host, https) = host.strip_prefix("http://").map_or((host, true), |host| (host, false));
            Origin::of_host(host, https).unwrap()
        };
        for (registry, realm, usable) in [
            ("ghcr.io", "https://ghcr.io/token", true),
            ("registry-1.docker.io", "https://auth.docker.io/token", true),
            ("ghcr.io", "http://ghcr.io/token", false),
            ("ghcr.io", "http://auth.example/token", false),
            ("ghcr.io", "https://169.254.169.254/token", false),
            ("ghcr.io", "https://[fd00::1]/token", false),
            ("ghcr.io", "https://localhost/token", false),
            ("ghcr.io", "https://127.0.0.1:5001/token", false),
            ("10.0.0.1:5000", "https://10.0.0.1:5001/token", true),
            ("127.0.0.1:5000", "https://127.0.0.1:5001/token", true),
            ("127.0.0.1:5000", "http://127.0.0.1:5001/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", true),
            ("http://127.0.0.1:5000", "http://auth.example/token", false),
            ("ghcr.io", "https://user:password@auth.example/token", false),
            ("ghcr.io", "/token", false),
        ] {
            assert_eq!(usable_realm(&own(registry), realm).is_ok(), usable, "{registry} {realm}");
        }
    }

    #[test]
    fn a_token_is_read_in_both_spellings_and_with_a_bounded_life() {
        let now = Instant::now();
        for (body, expected) in [
            (r#"{"token":"a"}"#, Some(("a", 50))),
            (r#"{"access_token":"b","expires_in":300}"#, Some(("b", 290))),
            (r#"{"token":"","access_token":"b","expires_in":4}"#, Some(("b", 3))),
            (r#"{"token":"a","expires_in":18446744073709551615}"#, Some(("a", 24 * 60 * 60 - 10))),
            (r#"{"token":5}"#, None),
            ("<html>", None),
        ] {
            let token = read_token(body.as_bytes(), now);
            let got = token.as_ref().map(|it| (it.value.expose(), (it.until - now).as_secs()));
            assert_eq!(got, expected, "{body}");
        }
    }
}
