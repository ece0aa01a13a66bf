//! The token server gives what its rules say, and the registry takes nothing else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::distribution::http::{Door, Response, base64};
use crate::distribution::token::{Asked, Field, Grant, Rules, TokenServer};
use crate::distribution::{Distribution, Mode};
use crate::harness::{carries, sleep};
use crate::work::work;

const NEEDS: [&str; 3] = ["docker-registry", "openssl", "skopeo"];
const PULL: &str = "repository:team/image:pull";
const PUSH: &str = "repository:team/image:pull,push";

/// The way to the token server.
fn desk(server: &TokenServer) -> Door {
    Door { port: server.port(), tls: None }
}

fn ask(server: &TokenServer, credentials: Option<&str>, query: &str) -> Response {
    let basic = credentials.map(|pair| format!("Basic {}", base64(pair)));
    let headers: Vec<(&str, &str)> = basic.as_deref().map(|value| ("Authorization", value)).into_iter().collect();
    desk(server).request("GET", &format!("/token?{query}"), &headers, b"")
}

fn post(server: &TokenServer, form: &str) -> Response {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    desk(server).request("POST", "/token", &headers, form.as_bytes())
}

/// Asks the registry with a token.
fn with(registry: &Distribution, token: &str, method: &str, path: &str) -> Response {
    registry.door().request(method, path, &[("Authorization", &format!("Bearer {token}"))], b"")
}

fn last(server: &TokenServer) -> Asked {
    server.log().pop().unwrap()
}

#[test]
fn skopeo_carries_images_with_tokens() {
    let Some(work) = work(&NEEDS) else { return };
    let server = TokenServer::start(Rules::default());
    let registry = Distribution::start(Mode::Token(&server));
    carries(&work, &registry, "--SIDE-tls-verify=false --SIDE-creds pusher:secret");
    let asked = server.log();
    assert!(asked.iter().all(|asked| (asked.status, asked.user.as_deref()) == (200, Some("pusher"))), "{asked:?}");
    assert!(asked.iter().any(|asked| asked.scopes == ["repository:team/image0:pull,push"]), "{asked:?}");
    assert!(registry.log().requests.iter().any(|request| request.user.as_deref() == Some("pusher")));

    let place = format!("docker://{}/team/image0", registry.host());
    let inspect = "skopeo inspect --tls-verify=false --override-arch amd64";
    work.run(&format!("{inspect} --creds reader:secret {place}:v1"));
    for refused in [
        format!("{inspect} {place}:v1"),
        format!("{inspect} --creds pusher:wrong {place}:v1"),
        format!("skopeo copy --dest-tls-verify=false --dest-creds reader:secret oci:fixtures/umoci-amd64 {place}:v2"),
    ] {
        work.fails(&refused);
    }
    assert_eq!(registry.tags("team/image0"), ["v1"]);
}

/// A challenge with its scopes, and the actions in each, sorted: the registry keeps them in no order.
fn sorted(answer: &Response) -> String {
    let challenge = answer.header("www-authenticate").unwrap();
    let Some((before, rest)) = challenge.split_once("scope=\"") else { return challenge.to_owned() };
    let (scopes, after) = rest.split_once('"').unwrap();
    let mut grants: Vec<Grant> = scopes.split(' ').map(|scope| Grant::of_scope(scope).unwrap()).collect();
    grants.iter_mut().for_each(|grant| grant.actions.sort());
    grants.sort_by_key(Grant::scope);
    let scopes: Vec<String> = grants.iter().map(Grant::scope).collect();
    format!("{before}scope=\"{}\"{after}", scopes.join(" "))
}

#[test]
fn a_challenge_names_the_server_and_the_scope() {
    let Some(_work) = work(&NEEDS) else { return };
    let server = TokenServer::start(Rules::default());
    let registry = Distribution::start(Mode::Token(&server));
    let plain = format!("Bearer realm=\"{}\",service=\"{}\"", server.realm(), server.service());
    let scoped = |scope: &str| format!("{plain},scope=\"{scope}\"");
    for (method, path, challenge) in [
        ("GET", "/v2/", plain.clone()),
        ("GET", "/v2/team/image/manifests/v1", scoped(PULL)),
        ("POST", "/v2/team/image/blobs/uploads/", scoped(PUSH)),
        ("DELETE", "/v2/team/image/manifests/v1", scoped("repository:team/image:delete")),
        ("GET", "/v2/_catalog", scoped("registry:catalog:*")),
        // the two scopes of a mount stand in one text
        (
            "POST",
            "/v2/team/image/blobs/uploads/?mount=sha256:0&from=team%2Fother",
            scoped(&format!("{PUSH} repository:team/other:pull")),
        ),
    ] {
        let answer = registry.door().request(method, path, &[], b"");
        assert_eq!((answer.status, answer.code().as_str()), (401, "UNAUTHORIZED"), "{method} {path}");
        assert_eq!(sorted(&answer), challenge, "{method} {path}");
    }
    // what a token lacks is a 401 as well, with the reason in the challenge
    let token = server.token("reader", &[Grant::of_scope(PULL).unwrap()], 60.0);
    for (token, method, path, challenge) in [
        (token.as_str(), "POST", "blobs/uploads/", format!("{},error=\"insufficient_scope\"", scoped(PUSH))),
        ("not.a.token", "GET", "tags/list", format!("{},error=\"invalid_token\"", scoped(PULL))),
    ] {
        let answer = with(&registry, token, method, &format!("/v2/team/image/{path}"));
        assert_eq!((answer.status, sorted(&answer)), (401, challenge));
    }
}

#[test]
fn only_what_is_asked_and_allowed_is_granted() {
    let Some(_work) = work(&NEEDS) else { return };
    let server = TokenServer::start(Rules::default());
    let (team, other) = ("repository:team/image:pull,push", "repository:other:pull,push");
    for (who, query, status, granted) in [
        (Some("pusher:secret"), format!("scope={team}"), 200, vec![team]),
        // two scopes in one text or in two
        (Some("pusher:secret"), format!("scope={team}&scope={other}"), 200, vec![team, "repository:other:pull"]),
        (Some("pusher:secret"), format!("scope={team}%20{other}"), 200, vec![team, "repository:other:pull"]),
        (Some("pusher:secret"), "scope=registry:catalog:*".to_owned(), 200, vec!["registry:catalog:*"]),
        (Some("reader:secret"), format!("scope={team}"), 200, vec!["repository:team/image:pull"]),
        (None, "scope=repository:public/a:pull,push".to_owned(), 200, vec!["repository:public/a:pull"]),
        (None, format!("scope={team}"), 200, vec![]),
        (None, String::new(), 200, vec![]),
        (Some("pusher:wrong"), format!("scope={team}"), 401, vec![]),
        (Some("nobody:secret"), format!("scope={team}"), 401, vec![]),
    ] {
        let answer = ask(&server, who, &query);
        assert_eq!((answer.status, last(&server).granted), (status, granted.into_iter().map(str::to_owned).collect()));
        assert_eq!(answer.json()["token"].is_string(), status == 200, "{query}");
    }
    server.rules().anonymous = None;
    assert_eq!(ask(&server, None, "").status, 401);
}

#[test]
fn forms_are_answered_as_well() {
    let Some(_work) = work(&NEEDS) else { return };
    let server = TokenServer::start(Rules::default());
    let registry = Distribution::start(Mode::Token(&server));
    let rest = format!("service=the+registry&client_id=test&scope={PUSH}");
    let answer = post(&server, &format!("grant_type=password&username=pusher&password=secret&{rest}")).json();
    assert_eq!((&answer["scope"], &answer["refresh_token"]), (&PUSH.into(), &serde_json::Value::Null));
    let expected = Asked {
        method: "POST".to_owned(),
        credential: "password".to_owned(),
        user: Some("pusher".to_owned()),
        service: Some("the registry".to_owned()),
        client: Some("test".to_owned()),
        scopes: vec![PUSH.to_owned()],
        granted: vec![PUSH.to_owned()],
        status: 200,
    };
    assert_eq!(last(&server), expected);

    let form = format!("grant_type=password&username=pusher&password=secret&access_type=offline&{rest}");
    let refresh = post(&server, &form).json()["refresh_token"].as_str().unwrap().to_owned();
    let by_get = ask(&server, Some("pusher:secret"), "offline_token=true").json();
    assert_eq!(
        (by_get["refresh_token"].as_str(), &*refresh),
        (Some(&*refresh), &*TokenServer::refresh_token("pusher"))
    );
    let answer = post(&server, &format!("grant_type=refresh_token&refresh_token={refresh}&{rest}")).json();
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(with(&registry, token, "POST", "/v2/team/image/blobs/uploads/").status, 202);

    for (form, status) in [
        ("grant_type=password&username=pusher&password=wrong", 401),
        ("grant_type=refresh_token&refresh_token=refresh-token-of-nobody", 401),
        ("grant_type=refresh_token&refresh_token=stolen", 401),
        ("grant_type=magic", 400),
        ("%%%&=&&a=%ff", 400),
    ] {
        assert_eq!((post(&server, form).status, last(&server).status), (status, status), "{form}");
    }
    server.rules().oauth = false;
    assert_eq!(post(&server, "grant_type=password&username=pusher&password=secret").status, 405);
}

#[test]
fn a_token_stands_where_the_rules_want_it() {
    let Some(_work) = work(&NEEDS) else { return };
    let server = TokenServer::start(Rules { expires_in: None, ..Rules::default() });
    for (field, token, access_token) in
        [(Field::Token, true, false), (Field::AccessToken, false, true), (Field::Both, true, true)]
    {
        server.rules().field = field;
        for answer in [ask(&server, None, ""), post(&server, "grant_type=password&username=reader&password=secret")] {
            let answer = answer.json();
            let there = (answer["token"].is_string(), answer["access_token"].is_string());
            assert_eq!((there, answer.get("expires_in")), ((token, access_token), None), "{field:?}");
        }
    }
}

#[test]
fn an_expired_token_is_refused() {
    let Some(_work) = work(&NEEDS) else { return };
    let server = TokenServer::start(Rules { lifetime: 2.0, expires_in: Some(2), ..Rules::default() });
    let registry = Distribution::start(Mode::Token(&server));
    let path = "/v2/team/image/blobs/uploads/";
    let grants = [Grant::of_scope(PUSH).unwrap()];
    // the registry allows a minute beyond what a token says
    for (exp, status) in [(5.0, 202), (-50.0, 202), (-62.0, 401)] {
        assert_eq!(with(&registry, &server.token_with_exp(&grants, exp), "POST", path).status, status, "{exp}");
    }
    assert_eq!(with(&registry, &server.token("pusher", &grants, -1.0), "POST", path).status, 401);

    let answer = ask(&server, Some("pusher:secret"), &format!("scope={PUSH}")).json();
    assert_eq!(answer["expires_in"], 2);
    let token = answer["token"].as_str().unwrap();
    let began = Instant::now();
    while with(&registry, token, "POST", path).status == 202 {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not expire");
        sleep(20);
    }
    assert!(began.elapsed() > Duration::from_millis(1800), "{:?}", began.elapsed());
    let challenge = with(&registry, token, "POST", path).header("www-authenticate").unwrap().to_owned();
    assert!(challenge.ends_with(",error=\"invalid_token\""), "{challenge}");
}

#[test]
fn a_mount_needs_both_scopes_in_one_token() {
    let Some(_work) = work(&NEEDS) else { return };
    let server = TokenServer::start(Rules::default());
    let registry = Distribution::start(Mode::Token(&server));
    let digest = registry.put_blob("team/from", b"content");
    let path = format!("/v2/team/to/blobs/uploads/?mount={digest}&from=team%2Ffrom");
    let (to, from) = (Grant::repository("team/to", &["pull", "push"]), Grant::repository("team/from", &["pull"]));
    for (grants, status) in [(vec![to.clone()], 401), (vec![from.clone()], 401), (vec![to, from], 201)] {
        let token = server.token("pusher", &grants, 60.0);
        let answer = with(&registry, &token, "POST", &path);
        assert_eq!(answer.status, status, "{grants:?} {answer:?}");
    }
    assert_eq!(registry.log().mounts(), [digest]);
}

#[test]
fn odd_requests_are_answered_and_noted() {
    let Some(_work) = work(&NEEDS) else { return };
    let server = TokenServer::start(Rules::default());
    for (request, status) in [
        ("GET /token?scope=&scope=a:b&scope=:::&scope=%zz HTTP/1.1\r\n\r\n", "200"),
        ("GET /token HTTP/1.1\r\nAuthorization: Basic !!!\r\n\r\n", "401"),
        ("GET /token HTTP/1.1\r\nAuthorization: Basic\r\n\r\n", "401"),
        ("GET /elsewhere HTTP/1.1\r\n\r\n", "404"),
        ("PUT /token HTTP/1.1\r\n\r\n", "405"),
        ("\u{0}\u{1} nonsense\r\n\r\n", "404"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert_eq!(last(&server).status.to_string(), status);
    }
    // somebody who says nothing holds nobody up
    let _silent = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    assert_eq!(ask(&server, None, "").status, 200);
}

#[test]
fn a_registry_over_tls_may_name_a_server_without() {
    let Some(work) = work(&NEEDS) else { return };
    let authority = crate::distribution::authority::Authority::new();
    let server = TokenServer::start(Rules::default());
    let registry = Distribution::start(Mode::TokenOverTls(&server, &authority));
    let options = format!("--SIDE-cert-dir {} --SIDE-creds pusher:secret", authority.certs_directory().display());
    carries(&work, &registry, &options);
}
