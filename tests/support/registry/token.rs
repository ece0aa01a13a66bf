//! The token server: `GET /token` with Basic, and `POST /token` as in OAuth2.

use std::io;
use std::time::Instant;

use serde_json::json;

use super::auth::{Bearer, read_basic, token_for};
use super::script::Answer;
use super::wire::{Body, Request, parameters};

/// Bodies of `POST /token` are bounded.
const LONGEST_FORM: u64 = 64 * 1024;

/// What somebody has shown to get a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    None,
    /// `GET` with a Basic header.
    Basic {
        user: String,
        password: String,
    },
    /// `POST` with `grant_type=password`.
    Password {
        user: String,
        password: String,
    },
    /// `POST` with `grant_type=refresh_token`.
    Refresh(String),
}

/// One request for a token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    pub at: Instant,
    pub method: String,
    /// One for each scope, whether they came one by one or in one text.
    pub scopes: Vec<String>,
    pub service: Option<String>,
    pub credential: Credential,
    /// The scopes of the token; `None` when no token was issued.
    pub granted: Option<Vec<String>>,
}

/// Answers a request for a token.
pub fn answer(bearer: &Bearer, request: &Request, body: &mut Body<'_>) -> io::Result<(Answer, Option<TokenRequest>)> {
    let mut asked = TokenRequest {
        at: Instant::now(),
        method: request.method.clone(),
        scopes: Vec::new(),
        service: None,
        credential: Credential::None,
        granted: None,
    };
    let form = match request.method.as_str() {
        "GET" => request.query.clone(),
        "POST" if !bearer.no_post_token => match body.read_all(LONGEST_FORM)? {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => return Ok((Answer::status(413), None)),
        },
        _ => return Ok((Answer::status(405).header("Allow", "GET"), None)),
    };
    let form = parameters(&form);
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let scopes = form.iter().filter(|(key, _)| key == "scope");
    asked.scopes =
        scopes.flat_map(|(_, value)| value.split(' ')).filter(|s| !s.is_empty()).map(str::to_owned).collect();
    asked.service = field("service");
    let text = |name| field(name).unwrap_or_default();
    asked.credential = match (request.method.as_str(), field("grant_type").as_deref()) {
        ("GET", _) => match request.header("authorization").map(read_basic) {
            None => Credential::None,
            Some(Some((user, password))) => Credential::Basic { user, password },
            Some(None) => return Ok((refused(&asked), Some(asked))),
        },
        (_, Some("refresh_token")) => Credential::Refresh(text("refresh_token")),
        (_, Some("password")) => Credential::Password { user: text("username"), password: text("password") },
        _ => return Ok((Answer::json(400, &json!({"error": "unsupported_grant_type"})), Some(asked))),
    };
    let Some(user) = bearer.user(&asked.credential) else { return Ok((refused(&asked), Some(asked))) };
    let granted = bearer.granted(user.as_deref(), &asked.scopes);
    let token = token_for(&granted);
    let mut answer = json!({"expires_in": 300, "issued_at": "2024-01-01T00:00:00Z", "scope": granted.join(" ")});
    let fields = bearer.token_field.map_or(vec!["token", "access_token"], |field| vec![field]);
    for field in fields {
        answer[field] = json!(token);
    }
    asked.granted = Some(granted);
    Ok((Answer::json(200, &answer), Some(asked)))
}

fn refused(asked: &TokenRequest) -> Answer {
    if asked.method == "GET" {
        return Answer::error(401, "UNAUTHORIZED", "incorrect username or password")
            .header("WWW-Authenticate", r#"Basic realm="fake""#);
    }
    Answer::json(401, &json!({"error": "invalid_grant", "error_description": "incorrect credentials"}))
}

impl Bearer {
    /// Returns whose credential this is, where nobody is somebody, too; `None` when it is wrong.
    fn user(&self, credential: &Credential) -> Option<Option<String>> {
        let known = |list: &[(String, String)], user: Option<&String>, secret: &String| {
            let found = list.iter().find(|(name, is)| user.is_none_or(|user| user == name) && is == secret);
            found.map(|(name, _)| Some(name.clone()))
        };
        match credential {
            Credential::None => self.anonymous_pull.then_some(None),
            Credential::Basic { user, password } | Credential::Password { user, password } => {
                known(&self.users, Some(user), password)
            }
            Credential::Refresh(token) => known(&self.refresh_tokens, None, token),
        }
    }
}
