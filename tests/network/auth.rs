//! Who we say we are, to whom, how often, and that nobody else hears of it.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::bench::{Bench, Made, image, noise};
use crate::environment::{Checked, Output, Running};
use crate::pull::{names_nothing, publish};
use crate::registry::{Answer, Auth, Bearer, Credential, FakeRegistry, Options, Rule};

/// A password that stands nowhere else.
const SECRET: &str = "hunter2-correct-horse";
const TOKEN: &str = "identity-9f8e7d6c";

fn with(auth: Auth) -> FakeRegistry {
    FakeRegistry::with(Options { auth, ..Options::default() })
}

fn bearer(bearer: Bearer) -> FakeRegistry {
    with(Auth::Bearer(bearer))
}

fn users() -> Vec<(String, String)> {
    vec![("me".to_owned(), SECRET.to_owned())]
}

/// A registry that asks in each way, and takes the password of `me`.
fn both_ways() -> [FakeRegistry; 2] {
    [with(Auth::basic("me", SECRET)), bearer(Bearer { users: users(), ..Bearer::default() })]
}

/// Checks an exit code, and that nothing that was printed tells a secret, plain, encoded, or as a token made of it.
#[track_caller]
fn ends(output: Output, code: i32) -> Checked {
    let basic = STANDARD.encode(format!("me:{SECRET}"));
    output.exits(code).never(&[SECRET, TOKEN, &basic, &STANDARD.encode(SECRET), "Bearer ", "Basic "])
}

/// Runs a line as users do, once more with every word that may be said, and once more for scripts.
#[track_caller]
fn run(bench: &Bench, line: &str, code: i32) -> Checked {
    for more in ["-v", "--json"] {
        let _ = ends(bench.run(&format!("{line} {more}")), code);
    }
    ends(bench.run(line), code)
}

fn authfile(bench: &Bench, entries: &Value) {
    fs::write(bench.path("auth.json"), json!({ "auths": entries }).to_string()).unwrap();
}

fn entry(user: &str, password: &str) -> Value {
    json!({"auth": STANDARD.encode(format!("{user}:{password}"))})
}

/// Runs a line with a text on standard input.
fn piped(bench: &Bench, line: &str, text: &str) -> Output {
    let mut command = bench.command(line);
    command.stdin(Stdio::piped());
    let mut running = Running::start(&mut command);
    // a line that is refused ends before anybody reads
    let _ = running.stdin().write_all(text.as_bytes());
    running.output(&bench.0)
}

fn one(bench: &Bench) -> Made {
    bench.image(&[noise(1, 2000)])
}

#[test]
fn a_password_and_a_token_open_the_door() {
    for registry in both_ways() {
        let bench = Bench::new();
        let made = one(&bench);
        authfile(&bench, &json!({registry.host(): entry("me", SECRET)}));
        let _ = run(&bench, &format!("push --authfile auth.json dist {}/app:v1", registry.host()), 0);
        made.is_at(&registry, "app", "v1");
        let _ = run(&bench, &format!("push --creds me:{SECRET} dist {}/app:v2", registry.host()), 0);
        let _ = run(&bench, &format!("pull --authfile auth.json -o back {}/app:v1", registry.host()), 0);
        // nobody else gets in
        let done = run(&bench, &format!("push dist {}/app:v3", registry.host()), 5);
        let _ = done.says(&["hint: log in with `barge login"]);
        let _ = run(&bench, &format!("pull -o other {}/app:v1", registry.host()), 5).says(&["barge login"]);
        names_nothing(&bench, "other");
        assert_eq!(registry.tags("app"), ["v1", "v2"]);
    }
}

#[test]
fn an_identity_token_gets_tokens() {
    let tokens = vec![("me".to_owned(), TOKEN.to_owned())];
    let registry = bearer(Bearer { refresh_tokens: tokens, ..Bearer::default() });
    let bench = Bench::new();
    let made = one(&bench);
    authfile(&bench, &json!({registry.host(): {"auth": STANDARD.encode("<token>:"), "identitytoken": TOKEN}}));
    let _ = run(&bench, &format!("push --authfile auth.json dist {}/app:v1", registry.host()), 0);
    made.is_at(&registry, "app", "v1");
    for asked in registry.token_log() {
        assert_eq!((asked.method.as_str(), &asked.credential), ("POST", &Credential::Refresh(TOKEN.to_owned())));
        assert_eq!(asked.service.as_deref(), Some(registry.host()));
    }
    // a wrong one is shown once
    let tokens = vec![("me".to_owned(), "another".to_owned())];
    let registry = bearer(Bearer { refresh_tokens: tokens, ..Bearer::default() });
    authfile(&bench, &json!({registry.host(): {"auth": STANDARD.encode("<token>:"), "identitytoken": TOKEN}}));
    let line = format!("push --authfile auth.json dist {}/app:v1", registry.host());
    let _ = ends(bench.run(&line), 5).says(&["auth.json", "barge login"]);
    assert_eq!(registry.token_log().len(), 1);
}

#[test]
fn nobody_in_particular_may_pull() {
    let registry = bearer(Bearer { users: users(), anonymous_pull: true, ..Bearer::default() });
    let (images, _) = image(&[noise(1, 2000)]);
    publish(&registry, "app", "v1", &images);
    let bench = Bench::new();
    let _ = ends(bench.run(&format!("pull -o layout {}/app:v1", registry.host())), 0);
    // one token, for nothing but that
    let asked = registry.token_log();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!((&asked[0].credential, asked[0].scopes.join(" ").as_str()), (&Credential::None, "repository:app:pull"));
    bench.image(&[noise(2, 2000)]);
    let _ = run(&bench, &format!("push dist {}/app:v1", registry.host()), 5).says(&["hint: "]);
}

#[test]
fn a_wrong_password_is_shown_once() {
    for words in ["push dist HOST/app:v1 HOST/b:v1", "pull -o back HOST/app:v1 HOST/b:v1 HOST/c:v1", "login -u me HOST"]
    {
        for registry in both_ways() {
            let bench = Bench::new();
            // enough to keep every lane busy
            bench.image(&(0..20).map(|seed| noise(seed, 500)).collect::<Vec<_>>());
            let line = words.replace("HOST", registry.host());
            let output = if words.starts_with("login") {
                piped(&bench, &format!("{line} --password-stdin"), "wrong-password")
            } else {
                bench.run(&format!("{line} --creds me:wrong-password"))
            };
            let _ = ends(output, 5).says(&["hint: "]).never(&["wrong-password"]);
            let wrong = STANDARD.encode("me:wrong-password");
            let shown = registry
                .log()
                .iter()
                .filter(|it| it.authorization.as_ref().is_some_and(|it| it.contains(&wrong)))
                .count();
            assert_eq!(shown, 1, "{words}: {:?}", registry.token_log());
        }
    }
}

#[test]
fn a_wrong_password_is_shown_once_however_much_is_to_go_on() {
    for registry in both_ways() {
        let bench = Bench::new();
        bench.images("dist", &["example.com/a:v1", "example.com/b:v1", "example.com/c:v1"]);
        let line = format!("push --keep-going --creds me:wrong-password dist {}", registry.host());
        let _ = ends(bench.run(&line), 7).says(&["3 of 3"]).never(&["wrong-password"]);
        let wrong = STANDARD.encode("me:wrong-password");
        let shown =
            registry.log().iter().filter(|it| it.authorization.as_ref().is_some_and(|it| it.contains(&wrong))).count();
        assert_eq!(shown, 1);
    }
}

#[test]
fn a_user_who_may_not_is_told_so() {
    for insufficient_is_403 in [false, true] {
        let registry = bearer(Bearer {
            users: users(),
            pull_only: vec!["me".to_owned()],
            insufficient_is_403,
            ..Bearer::default()
        });
        let bench = Bench::new();
        one(&bench);
        let line = format!("push --creds me:{SECRET} dist {}/app:v1", registry.host());
        let _ = run(&bench, &line, 5).says(&["hint: "]);
        assert_eq!(registry.tags("app"), [""; 0]);
        assert!(registry.token_log().len() <= 12, "{} tokens", registry.token_log().len());
    }
}

#[test]
fn each_registry_sees_its_own_password_only() {
    let other_secret = "another-password-5309";
    let ways = [
        [with(Auth::basic("me", SECRET)), with(Auth::basic("you", other_secret))],
        [
            bearer(Bearer { users: users(), ..Bearer::default() }),
            bearer(Bearer { users: vec![("you".to_owned(), other_secret.to_owned())], ..Bearer::default() }),
        ],
    ];
    for [one, other] in ways {
        let bench = Bench::new();
        bench.images("dist", &["example.com/a:v1"]);
        let line = format!("push --authfile auth.json dist {} {}", one.host(), other.host());
        authfile(&bench, &json!({one.host(): entry("me", SECRET), other.host(): entry("you", other_secret)}));
        let _ = run(&bench, &line, 0).never(&[other_secret]);
        let basic = [STANDARD.encode(format!("me:{SECRET}")), STANDARD.encode(format!("you:{other_secret}"))];
        for (registry, own, foreign) in [(&one, &basic[0], &basic[1]), (&other, &basic[1], &basic[0])] {
            let shown: Vec<String> = registry.log().into_iter().filter_map(|it| it.authorization).collect();
            assert!(shown.iter().any(|shown| shown.contains(own)));
            assert!(!shown.iter().any(|shown| shown.contains(foreign)));
        }
    }
}

#[test]
fn a_password_on_the_command_line_is_for_one_registry() {
    let [one, other] = [with(Auth::basic("me", SECRET)), with(Auth::basic("me", SECRET))];
    let bench = Bench::new();
    bench.images("dist", &["example.com/a:v1"]);
    for line in [
        format!("push --creds me:{SECRET} dist {} {}", one.host(), other.host()),
        format!("push --creds me:{SECRET} dist {}/a:v1 {}/a:v1", one.host(), other.host()),
        format!("pull --creds me:{SECRET} -o back {}/a:v1 {}/a:v1", one.host(), other.host()),
    ] {
        let _ = run(&bench, &line, 2).says(&["--creds", "hint: "]);
    }
    assert_eq!((one.log().len(), other.log().len()), (0, 0), "it was shown before it was refused");
    for creds in [SECRET, ":x", ""] {
        let mut command = bench.command(&format!("pull -o back {}/a:v1", one.host()));
        let _ = ends(bench.0.finish(command.args(["--creds", creds])), 2).says(&["USER:PASSWORD"]);
    }
}

#[test]
fn a_password_is_for_the_repository_it_was_given_for() {
    let registry = with(Auth::basic("me", SECRET));
    let bench = Bench::new();
    let made = one(&bench);
    let host = registry.host();
    authfile(&bench, &json!({format!("{host}/team"): entry("me", SECRET), host: entry("other", "wrong-password")}));
    let _ = run(&bench, &format!("push --authfile auth.json dist {host}/team/app:v1"), 0);
    made.is_at(&registry, "team/app", "v1");
    let _ = run(&bench, &format!("push --authfile auth.json dist {host}/app:v1"), 5).never(&["wrong-password"]);
}

#[test]
fn a_token_server_is_only_where_one_may_be() {
    let elsewhere = "http://auth.example.com/token";
    for realm in [
        elsewhere,
        "http://10.1.2.3/token",
        "https://169.254.169.254/latest",
        "ftp://127.0.0.1/token",
        "/token",
        "token",
        "",
        "https://me:password@127.0.0.1/token",
        "\u{1}",
    ] {
        let registry = bearer(Bearer { users: users(), realm: Some(realm.to_owned()), ..Bearer::default() });
        let bench = Bench::new();
        one(&bench);
        let line = format!("push --retry 0 --creds me:{SECRET} dist {}/app:v1", registry.host());
        let code = bench.run(&line).code();
        assert!(matches!(code, 5 | 6), "{realm}: {code}");
        let _ = ends(bench.run(&line), code);
        let basic = STANDARD.encode(format!("me:{SECRET}"));
        let shown = |it: &crate::registry::Exchange| it.authorization.as_ref().is_some_and(|it| it.contains(&basic));
        assert!(!registry.log().iter().any(shown), "{realm}");
    }
    // on this machine it may be another port
    let server = bearer(Bearer { users: users(), ..Bearer::default() });
    let realm = Some(format!("{}/token", server.url()));
    let registry = bearer(Bearer { realm, ..Bearer::default() });
    let bench = Bench::new();
    let made = one(&bench);
    let _ = run(&bench, &format!("push --creds me:{SECRET} dist {}/app:v1", registry.host()), 0);
    made.is_at(&registry, "app", "v1");
    let basic = STANDARD.encode(format!("me:{SECRET}"));
    assert!(!registry.log().iter().any(|it| it.authorization.as_ref().is_some_and(|it| it.contains(&basic))));
}

#[test]
fn what_a_token_server_answers_is_not_believed() {
    let big = format!(r#"{{"token":"{}"}}"#, "x".repeat(2 << 20));
    for (answer, exit) in [
        (Answer::status(200).body("<html>welcome</html>"), 5),
        (Answer::status(200).body("{}"), 5),
        (Answer::status(200).body(r#"{"token":""}"#), 5),
        (Answer::status(200).body(r#"{"token":["x"]}"#), 5),
        (Answer::status(200).body("{\"token\":\"a\\r\\nX-Evil: 1\"}"), 5),
        (Answer::status(200).body(big), 5),
        (Answer::status(302).header("Location", "http://127.0.0.1:1/token"), 5),
        (Answer::status(404), 5),
        (Answer::error(403, "DENIED", "no\u{1b}[31m"), 5),
        (Answer::status(500).header("Retry-After", 0), 6),
        (Answer::raw(b"garbage".to_vec()), 6),
    ] {
        let registry = bearer(Bearer { users: users(), ..Bearer::default() });
        registry.script([Rule::on("GET", "/token").answer(answer.clone())]);
        let bench = Bench::new();
        one(&bench);
        let line = format!("push --retry 1 --creds me:{SECRET} dist {}/app:v1", registry.host());
        let _ = ends(bench.run(&line), exit).never(&["\u{1b}", "X-Evil: 1\n"]);
        assert!(registry.token_log().is_empty());
    }
}

#[test]
fn a_login_is_tried_and_kept() {
    for registry in both_ways() {
        let bench = Bench::new();
        let host = registry.host();
        let login = format!("login -u me --password-stdin {host}");
        // a wrong one is not kept
        let _ = ends(piped(&bench, &login, "wrong-password\n"), 5).says(&["hint: check the user"]).never(&["wrong-"]);
        assert!(files_with(&bench, host).is_empty());
        let _ = ends(bench.run(&format!("login --get-login {host}")), 3);
        // one that is tried by a dry run neither
        let _ = ends(piped(&bench, &format!("{login} --dry-run"), SECRET), 0);
        assert!(files_with(&bench, host).is_empty());
        for text in [SECRET.to_owned(), format!("{SECRET}\n"), format!("{SECRET}\r\n")] {
            let _ = ends(piped(&bench, &format!("{login} -v"), &text), 0).says(&["logged in"]);
        }
        assert_eq!(files_with(&bench, host).len(), 1);
        assert_eq!(ends(bench.run(&format!("login --get-login {host}")), 0).stdout(), "me");
        let made = one(&bench);
        let _ = run(&bench, &format!("push dist {host}/app:v1"), 0);
        made.is_at(&registry, "app", "v1");
        // a wrong one leaves the right one
        let _ = ends(piped(&bench, &login, "wrong-password\n"), 5);
        let _ = run(&bench, &format!("pull -o back {host}/app:v1"), 0);
        let _ = ends(bench.run(&format!("logout {host}")), 0).says(&["logged out"]);
        assert!(files_with(&bench, host).is_empty());
        let _ = ends(bench.run(&format!("login --get-login {host}")), 3);
        let _ = run(&bench, &format!("pull -o again {host}/app:v1"), 5);
        let _ = ends(bench.run(&format!("logout {host}")), 0).says(&["nothing to do"]);
    }
}

/// Returns the files of this directory that know of a registry.
fn files_with(bench: &Bench, host: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![bench.path("config"), bench.path("runtime"), bench.path("../home")];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if fs::read_to_string(&path).unwrap_or_default().contains(host) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_login_without_a_password_is_refused() {
    let registry = with(Auth::basic("me", SECRET));
    let bench = Bench::new();
    for (line, text) in [
        ("login -u me --password-stdin HOST", ""),
        ("login -u me --password-stdin HOST", "\n"),
        ("login --password-stdin HOST", SECRET),
        ("login -u me HOST", SECRET),
        ("login HOST/app", SECRET),
    ] {
        let _ = ends(piped(&bench, &line.replace("HOST", registry.host()), text), 2).says(&["hint: "]);
    }
    assert_eq!(registry.log().len(), 0);
}

#[test]
fn a_registry_that_asks_for_nothing_is_shown_nothing() {
    let registry = FakeRegistry::start();
    let bench = Bench::new();
    one(&bench);
    let _ = run(&bench, &format!("push --creds me:{SECRET} dist {}/app:v1", registry.host()), 0);
    assert!(registry.log().iter().all(|it| it.authorization.is_none()));
}

#[test]
fn a_repository_may_ask_where_the_registry_did_not() {
    for (challenge, auth) in [
        ("Basic realm=\"x\"", Auth::basic("me", SECRET)),
        ("", Auth::Bearer(Bearer { users: users(), ..Bearer::default() })),
    ] {
        let registry = with(auth);
        let _ = challenge;
        registry.script([Rule::on("GET", "/v2/").before_auth().answer(Answer::status(200).body("{}"))]);
        let bench = Bench::new();
        let made = bench.image(&(0..12).map(|seed| noise(seed, 500)).collect::<Vec<_>>());
        let _ = run(&bench, &format!("push --creds me:{SECRET} dist {}/app:v1", registry.host()), 0);
        made.is_at(&registry, "app", "v1");
    }
}
