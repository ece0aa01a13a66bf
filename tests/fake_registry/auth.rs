//! Who may do what.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::{Client, Got, MANIFEST};
use crate::registry::{Auth, Bearer, Credential, FakeRegistry, Options, Rule};

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn users() -> Vec<(String, String)> {
    ["me", "reader"].map(|user| (user.to_owned(), "secret".to_owned())).to_vec()
}

fn with(bearer: Bearer) -> FakeRegistry {
    FakeRegistry::with(Options { auth: Auth::Bearer(bearer), ..Options::default() })
}

/// Asks for a token, as `GET /token?SCOPES` by a user; an empty name is nobody.
fn token(client: &mut Client, user: &str, scopes: &str) -> String {
    let header = basic(user, "secret");
    let headers: &[&str] = if user.is_empty() { &[] } else { &[&header] };
    let got = client.ask("GET", &format!("/token?service=x&{scopes}"), headers);
    assert_eq!(got.status, 200);
    format!("Authorization: Bearer {}", got.json()["token"].as_str().unwrap())
}

fn challenge(got: &Got) -> &str {
    assert_eq!(got.status, 401);
    got.header("www-authenticate").unwrap()
}

#[test]
fn basic_lets_nobody_else_in() {
    let registry = FakeRegistry::with(Options { auth: Auth::basic("me", "secret"), ..Options::default() });
    let client = &mut Client::to(&registry);
    assert_eq!(challenge(&client.ask("GET", "/v2/", &[])), r#"Basic realm="fake""#);
    assert_eq!(client.ask("GET", "/v2/", &[&basic("me", "wrong")]).status, 401);
    assert_eq!(client.ask("GET", "/v2/", &[&basic("me", "secret")]).status, 200);
    assert_eq!(registry.log()[2].authorization.as_deref(), Some("Basic bWU6c2VjcmV0"));
}

#[test]
fn a_token_is_good_for_its_scopes_only() {
    let registry = with(Bearer { users: users(), ..Bearer::default() });
    registry.put_blob("base", b"hello");
    let client = &mut Client::to(&registry);
    let host = registry.host();
    let start = format!(r#"Bearer realm="http://{host}/token",service="{host}""#);
    assert_eq!(challenge(&client.ask("GET", "/v2/", &[])), start);
    let pull = token(client, "me", "scope=repository:app:pull");
    let both = token(client, "me", "scope=repository:app:pull,push");
    let mount = token(client, "me", "scope=repository:app:pull,push&scope=repository:base:pull");
    let one_text =
        token(client, "me", "scope=repository%3Aapp%3Apull%2Cpush+repository:base:pull%20registry:catalog:*");
    let uploads = "/v2/app/blobs/uploads/";
    let digest = barge::digest::Digest::of(b"hello");
    let from_base = format!("{uploads}?mount={digest}&from=base");
    let needs_both = r#",scope="repository:app:pull,push repository:base:pull",error="insufficient_scope""#;
    for (method, path, token, status) in [
        ("GET", "/v2/", &pull, 200),
        ("GET", "/v2/app/manifests/v1", &pull, 404),
        ("GET", "/v2/base/manifests/v1", &pull, 401),
        ("POST", uploads, &pull, 401),
        ("POST", uploads, &both, 202),
        ("POST", &from_base, &both, 401),
        ("POST", &from_base, &mount, 201),
        ("POST", &from_base, &one_text, 201),
        ("GET", "/v2/_catalog", &mount, 401),
        ("GET", "/v2/_catalog", &one_text, 200),
        ("DELETE", "/v2/app/manifests/v1", &both, 401),
    ] {
        let got = client.ask(method, path, &[token]);
        assert_eq!(got.status, status, "{method} {path}");
        if path == from_base && status == 401 {
            assert_eq!(challenge(&got), format!("{start}{needs_both}"));
        }
    }
    let asked = registry.token_log();
    assert_eq!(asked[2].scopes, ["repository:app:pull,push", "repository:base:pull"]);
    assert_eq!(asked[3].scopes.len(), 3);
    assert_eq!(asked[0].credential, Credential::Basic { user: "me".to_owned(), password: "secret".to_owned() });
    assert_eq!(asked[0].granted.as_deref(), Some(&["repository:app:pull".to_owned()][..]));
}

#[test]
fn tokens_wear_out_and_are_revoked() {
    let registry = with(Bearer { users: users(), uses: Some(2), ..Bearer::default() });
    let client = &mut Client::to(&registry);
    let first = token(client, "me", "");
    let statuses = [(); 3].map(|()| client.ask("GET", "/v2/", &[&first]).status);
    assert_eq!(statuses, [200, 200, 401]);
    let second = token(client, "me", "");
    registry.revoke_tokens();
    assert!(challenge(&client.ask("GET", "/v2/", &[&second])).ends_with(r#",error="invalid_token""#));
    let third = token(client, "me", "");
    assert_eq!(client.ask("GET", "/v2/", &[&third]).status, 200);
}

#[test]
fn what_is_granted_may_be_less_than_what_is_asked() {
    let registry = with(Bearer {
        users: users(),
        pull_only: vec!["reader".to_owned()],
        denied: vec!["private/*".to_owned()],
        anonymous_pull: true,
        insufficient_is_403: true,
        ..Bearer::default()
    });
    let client = &mut Client::to(&registry);
    for (user, name, pull, push) in
        [("me", "app", 404, 202), ("reader", "app", 404, 403), ("", "app", 404, 403), ("me", "private/app", 403, 403)]
    {
        let token = token(client, user, &format!("scope=repository:{name}:pull,push"));
        assert_eq!(client.ask("GET", &format!("/v2/{name}/manifests/v1"), &[&token]).status, pull, "{user} {name}");
        assert_eq!(client.ask("POST", &format!("/v2/{name}/blobs/uploads/"), &[&token]).status, push, "{user} {name}");
    }
}

#[test]
fn a_token_is_given_for_a_password_or_an_identity_token_too() {
    let form = "Content-Type: application/x-www-form-urlencoded";
    let bearer = || Bearer {
        users: users(),
        refresh_tokens: vec![("me".to_owned(), "identity".to_owned())],
        token_field: Some("access_token"),
        ..Bearer::default()
    };
    let registry = with(bearer());
    let client = &mut Client::to(&registry);
    let rest = "service=x&client_id=barge&scope=repository:app:pull";
    for (body, status) in [
        (format!("grant_type=password&username=me&password=secret&{rest}"), 200),
        (format!("grant_type=password&username=me&password=wrong&{rest}"), 401),
        (format!("grant_type=refresh_token&refresh_token=identity&{rest}"), 200),
        (format!("grant_type=refresh_token&refresh_token=other&{rest}"), 401),
        (rest.to_owned(), 400),
    ] {
        let got = client.send("POST", "/token", &[form], body.as_bytes());
        assert_eq!(got.status, status, "{body}");
        assert!(got.json()["token"].is_null());
        assert_eq!(got.json()["access_token"].is_string(), status == 200, "{body}");
    }
    assert_eq!(client.ask("GET", "/token", &[&basic("me", "wrong")]).status, 401);
    assert_eq!(client.ask("GET", "/token", &[]).status, 401, "nobody may pull here");
    let log = registry.token_log();
    assert_eq!(log[2].credential, Credential::Refresh("identity".to_owned()));
    assert_eq!(log.iter().filter(|asked| asked.granted.is_some()).count(), 2);
    let old = with(Bearer { no_post_token: true, ..bearer() });
    assert_eq!(Client::to(&old).send("POST", "/token", &[form], rest.as_bytes()).status, 405);
}

#[test]
fn a_token_server_may_be_elsewhere() {
    let issuer = with(Bearer { users: users(), ..Bearer::default() });
    let realm = format!("{}/token", issuer.url());
    let registry = with(Bearer { realm: Some(realm.clone()), service: Some("here".to_owned()), ..Bearer::default() });
    let client = &mut Client::to(&registry);
    let got = client.ask("GET", "/v2/", &[]);
    assert_eq!(challenge(&got), format!(r#"Bearer realm="{realm}",service="here""#));
    let token = token(&mut Client::to(&issuer), "me", "scope=repository:app:pull,push");
    assert_eq!(client.send("PUT", "/v2/app/manifests/v1", &[MANIFEST, &token], b"{}").status, 201);
    assert_eq!((issuer.token_log().len(), registry.token_log().len()), (1, 0));
}

#[test]
fn a_rule_is_not_used_up_by_a_request_that_is_refused() {
    let registry = with(Bearer { users: users(), ..Bearer::default() });
    registry.script([Rule::on("GET", "/v2/").once().status(202), Rule::on("GET", "/v2/").before_auth().skip(1).once()]);
    let client = &mut Client::to(&registry);
    assert_eq!(client.ask("GET", "/v2/", &[]).status, 401);
    let token = token(client, "me", "");
    assert_eq!(client.ask("GET", "/v2/", &[]).status, 200, "a rule before authentication lets it through");
    assert_eq!(client.ask("GET", "/v2/", &[&token]).status, 202);
    assert_eq!(registry.unused_rules(), [""; 0]);
}
