//! A token server: whoever may do something with a repository gets a token that says so.
//!
//! Both ways to ask are there: GET with a Basic password or none (distribution v2.8.2, docs/spec/auth/token.md), and
//! POST of a form (docs/spec/auth/oauth.md).

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::http::unescape;
use super::jwt::{ISSUER, SERVICE, Signer, claims};

pub use super::jwt::Grant;

/// How much of a request is read.
const MOST: usize = 1 << 20;

/// Where a token stands in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `token` after GET, `access_token` after POST.
    Usual,
    Token,
    AccessToken,
    Both,
}

/// Who gets what.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Passwords and rights by name.
    pub users: BTreeMap<String, (String, Vec<Grant>)>,
    /// What those may who show no credential; None when they get no token at all.
    pub anonymous: Option<Vec<Grant>>,
    /// For how many seconds the registry accepts a token.
    pub lifetime: f64,
    /// What the answer states as `expires_in`.
    pub expires_in: Option<u64>,
    pub field: Field,
    /// Whether there is POST; else it is answered with 405.
    pub oauth: bool,
}

impl Default for Rules {
    /// `pusher` may push to `team/*`, delete there, and pull everything, `reader` may pull everything, the password of
    /// both is `secret`; anonymous may pull `public/*`. Tokens live for five minutes.
    fn default() -> Self {
        let pull = Grant::repository("*", &["pull"]);
        let push = Grant::repository("team/*", &["push", "delete"]);
        let user = |name: &str, grants: Vec<Grant>| (name.to_owned(), ("secret".to_owned(), grants));
        Self {
            users: [user("pusher", vec![pull.clone(), push, Grant::catalog()]), user("reader", vec![pull])].into(),
            anonymous: Some(vec![Grant::repository("public/*", &["pull"])]),
            lifetime: 300.0,
            expires_in: Some(300),
            field: Field::Usual,
            oauth: true,
        }
    }
}

/// What somebody asked for, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    /// `none`, `basic`, or the `grant_type` of a form.
    pub credential: String,
    /// Whose credential it was, right or wrong.
    pub user: Option<String>,
    pub service: Option<String>,
    pub client: Option<String>,
    /// One scope each, as they were asked.
    pub scopes: Vec<String>,
    pub granted: Vec<String>,
    pub status: u16,
}

struct Shared {
    signer: Arc<Signer>,
    rules: Mutex<Rules>,
    asked: Mutex<Vec<Asked>>,
    ends: AtomicBool,
}

/// Runs until it goes away.
pub struct TokenServer {
    shared: Arc<Shared>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl TokenServer {
    pub fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (rules, asked) = (Mutex::new(rules), Mutex::default());
        let shared = Arc::new(Shared { signer: Arc::new(Signer::new()), rules, asked, ends: AtomicBool::new(false) });
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.ends.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&own);
                // bounded by the limits on reading and writing
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { shared, port, thread: Some(thread) }
    }

    /// Where to ask for tokens.
    pub fn realm(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn service(&self) -> &'static str {
        SERVICE
    }

    pub fn issuer(&self) -> &'static str {
        ISSUER
    }

    /// The certificate that signs, for the registry.
    pub fn bundle(&self) -> PathBuf {
        self.shared.signer.bundle()
    }

    /// The rules, to change them: they hold from the next token on.
    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        locked(&self.shared.rules)
    }

    /// Everything that was asked.
    pub fn log(&self) -> Vec<Asked> {
        locked(&self.shared.asked).clone()
    }

    pub fn forget_log(&self) {
        locked(&self.shared.asked).clear();
    }

    /// A token past all rules, which the registry accepts for so many seconds: none when that is below zero.
    pub fn token(&self, user: &str, access: &[Grant], seconds: f64) -> String {
        self.shared.signer.token(user, access, seconds)
    }

    /// A token whose `exp` is what it says, without regard to what the registry allows beyond.
    pub fn token_with_exp(&self, access: &[Grant], exp: f64) -> String {
        self.shared.signer.signed(&claims("somebody", access, exp))
    }

    /// What a user gets in place of a password when asking for offline access.
    pub fn refresh_token(user: &str) -> String {
        format!("refresh-token-of-{user}")
    }

    pub(super) fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.shared.signer)
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // it waits for somebody to come
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request, taken apart as far as it can be.
#[derive(Default)]
struct Question {
    method: String,
    path: String,
    /// Of the query, or of the form.
    values: Vec<(String, String)>,
    authorization: Option<String>,
}

impl Question {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn value(&self, name: &str) -> Option<String> {
        self.values_of(name).next().map(str::to_owned)
    }

    /// User and password, when there is a header that has them.
    fn basic(&self) -> Option<(String, String)> {
        let (scheme, text) = self.authorization.as_ref()?.split_once(' ')?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
        let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), password.to_owned()))
    }
}

/// Reads a request within the limits; what cannot be understood is left out.
fn read(stream: &mut TcpStream) -> Question {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    let (head, body) = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = header(&head, "content-length").and_then(|value| value.parse::<usize>().ok()).unwrap_or(0);
            if bytes.len() - end - 4 >= length.min(MOST) {
                break (head, String::from_utf8_lossy(&bytes[end + 4..]).into_owned());
            }
        }
        match stream.read(&mut block) {
            Ok(read) if read > 0 && bytes.len() < 2 * MOST => bytes.extend_from_slice(&block[..read]),
            _ => break (String::from_utf8_lossy(&bytes).into_owned(), String::new()),
        }
    };
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = if method == "POST" { &body } else { query };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescape(name), unescape(value))
    };
    Question {
        method: method.to_owned(),
        path: path.to_owned(),
        values: pairs.split('&').filter(|text| !text.is_empty()).map(pair).collect(),
        authorization: header(&head, "authorization").map(str::to_owned),
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    pairs.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let limit = Some(Duration::from_secs(10));
        let _ = (stream.set_read_timeout(limit), stream.set_write_timeout(limit));
        let question = read(&mut stream);
        if question.method.is_empty() {
            return; // a connection that nobody used
        }
        let (asked, answer) = self.answer(&question);
        let (status, body) = (asked.status, answer.to_string());
        let realm = if status == 401 { "WWW-Authenticate: Basic realm=\"tokens\"\r\n" } else { "" };
        // who knows the answer finds it in the log
        locked(&self.asked).push(asked);
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{realm}Connection: \
             close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
    }

    fn answer(&self, question: &Question) -> (Asked, Value) {
        let rules = locked(&self.rules).clone();
        let form = question.method == "POST";
        let scopes = question.values_of("scope").flat_map(str::split_whitespace).map(str::to_owned);
        let mut asked = Asked {
            method: question.method.clone(),
            credential: "none".to_owned(),
            service: question.value("service"),
            client: question.value("client_id"),
            scopes: scopes.collect(),
            ..Asked::default()
        };
        let refuse = |asked: Asked, status, code| (Asked { status, ..asked }, json!({"errors": [{"code": code}]}));
        if question.path != "/token" {
            return refuse(asked, 404, "NOT_FOUND");
        }
        if !matches!(question.method.as_str(), "GET" | "POST") || form && !rules.oauth {
            return refuse(asked, 405, "UNSUPPORTED");
        }
        // who it is, and whether that is proven
        let proven = if form {
            asked.credential = question.value("grant_type").unwrap_or_default();
            match asked.credential.as_str() {
                "password" => {
                    asked.user = question.value("username");
                    question.value("password")
                }
                "refresh_token" => {
                    let token = question.value("refresh_token").unwrap_or_default();
                    asked.user = token.strip_prefix(&TokenServer::refresh_token("")).map(str::to_owned);
                    // as good as the password
                    asked.user.as_ref().and_then(|user| rules.users.get(user)).map(|(password, _)| password.clone())
                }
                _ => return refuse(asked, 400, "UNSUPPORTED_GRANT_TYPE"),
            }
        } else if question.authorization.is_some() {
            asked.credential = "basic".to_owned();
            let pair = question.basic();
            asked.user = pair.as_ref().map(|(user, _)| user.clone());
            pair.map(|(_, password)| password)
        } else {
            None
        };
        let grants = if asked.credential == "none" {
            rules.anonymous.clone()
        } else {
            let known = asked.user.as_ref().and_then(|user| rules.users.get(user));
            known.filter(|(password, _)| proven.as_ref() == Some(password)).map(|(_, grants)| grants.clone())
        };
        let Some(grants) = grants else { return refuse(asked, 401, "UNAUTHORIZED") };
        let access = intersection(&grants, &asked.scopes);
        asked.granted = access.iter().map(Grant::scope).collect();
        asked.status = 200;
        let token = self.signer.token(asked.user.as_deref().unwrap_or_default(), &access, rules.lifetime);
        let offline = [("offline_token", "true"), ("access_type", "offline"), ("grant_type", "refresh_token")];
        let offline = offline.iter().any(|(name, value)| question.value(name).as_deref() == Some(*value));
        let mut answer = json!({});
        if matches!((rules.field, form), (Field::Token | Field::Both, _) | (Field::Usual, false)) {
            answer["token"] = json!(token);
        }
        if matches!((rules.field, form), (Field::AccessToken | Field::Both, _) | (Field::Usual, true)) {
            answer["access_token"] = json!(token);
        }
        if let Some(seconds) = rules.expires_in {
            answer["expires_in"] = json!(seconds);
        }
        if form {
            answer["scope"] = json!(asked.granted.join(" "));
        }
        if let Some(user) = asked.user.as_ref().filter(|_| offline) {
            answer["refresh_token"] = json!(TokenServer::refresh_token(user));
        }
        (asked, answer)
    }
}

/// What is both wished and allowed. As a real server does, it gives less, or nothing, rather than refuse.
fn intersection(grants: &[Grant], scopes: &[String]) -> Vec<Grant> {
    let wishes = scopes.iter().filter_map(|scope| Grant::of_scope(scope));
    let allowed = wishes.map(|wish| {
        let mut actions: Vec<String> = grants.iter().flat_map(|grant| grant.allows(&wish)).collect();
        actions.sort();
        actions.dedup();
        Grant { actions, ..wish }
    });
    allowed.filter(|grant| !grant.actions.is_empty()).collect()
}
