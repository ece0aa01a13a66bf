//! Who is let in, and how barge knows what to show: certificates, passwords, tokens.

use std::fs;
use std::os::unix::fs::symlink;

use crate::bench::Bench;
use crate::distribution::authority::Authority;
use crate::distribution::token::{Rules, TokenServer};
use crate::distribution::{Distribution, Mode};
use crate::pushes::closed_port;

/// Pushes a layout and pulls it back with these options, and compares.
fn carries(bench: &Bench, registry: &Distribution, options: &str) {
    let digest = bench.merged("dist", "example.com/team/app:v1");
    let host = registry.host();
    bench.ok(&format!("push {options} dist {host}"));
    bench.same("dist", &digest, registry, "team/app:v1");
    bench.ok(&format!("pull {options} -o back.tar {host}/team/app:v1"));
    assert_eq!(bench.ok("verify --deep back.tar").code, Some(0));
    bench.ok(&format!("diff {options} dist docker://{host}/team/app:v1"));
}

#[test]
fn a_private_authority_is_named_or_found() {
    let Some(mut bench) = Bench::new(&["openssl"]) else { return };
    let (authority, other) = (Authority::new(), Authority::new());
    let registry = Distribution::start(Mode::Tls(&authority));
    carries(&bench, &registry, &format!("--ca-file {}", authority.certificate().display()));

    let push = format!("push dist {}", registry.host());
    let wrong = format!("--ca-file {}", other.certificate().display());
    for (options, hints) in [("", ["--ca-file", "certs.d"]), (&wrong, ["authority", "check that the file"])] {
        let said = bench.fails(6, &format!("{push} {options}"));
        for part in hints {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("trying again"), "{said}");
    }
    // what is on this port is not HTTP, and that is said
    let said = bench.fails(6, &format!("{push} --plain-http"));
    assert!(said.contains("leave out --plain-http"), "{said}");
    bench.ok(&format!("{push} --tls-verify=false"));

    bench.set("XDG_CONFIG_HOME", bench.work.path("config").display().to_string());
    let directory = bench.work.path(&format!("config/containers/certs.d/{}", registry.host()));
    fs::create_dir_all(&directory).unwrap();
    symlink(authority.certificate(), directory.join("ca.crt")).unwrap();
    registry.forget_log();
    carries(&bench, &registry, "");
    // by another name it is another registry
    bench.fails(6, &format!("pull -o other localhost:{}/team/app:v1", registry.port()));
}

#[test]
fn a_client_shows_its_certificate() {
    let Some(mut bench) = Bench::new(&["openssl"]) else { return };
    let (authority, other) = (Authority::new(), Authority::new());
    let registry = Distribution::start(Mode::MutualTls(&authority));
    let ca = format!("--ca-file {}", authority.certificate().display());
    let pair = |authority: &Authority| {
        let pair = authority.client("barge");
        format!("--client-cert {} --client-key {}", pair.certificate.display(), pair.key.display())
    };
    carries(&bench, &registry, &format!("{ca} {}", pair(&authority)));
    for options in [ca.clone(), format!("{ca} {}", pair(&other))] {
        let said = bench.fails(6, &format!("push dist {} {options}", registry.host()));
        assert!(said.contains("--client-cert"), "{said}");
    }
    bench.set("XDG_CONFIG_HOME", bench.work.path("config").display().to_string());
    fs::create_dir_all(bench.work.path("config/containers/certs.d")).unwrap();
    let directory = bench.work.path(&format!("config/containers/certs.d/{}", registry.host()));
    symlink(authority.certs_directory_of("barge"), directory).unwrap();
    carries(&bench, &registry, "");
}

#[test]
fn a_password_comes_from_wherever_somebody_logged_in() {
    let Some(bench) = Bench::new(&["htpasswd", "podman", "skopeo", "root"]) else { return };
    let digest = bench.merged("dist", "example.com/team/app:v1");
    let registry = Distribution::start(Mode::Htpasswd { user: "somebody", password: "se:cret", tls: None });
    let host = registry.host();
    let pushed = |options: &str, repository: &str| {
        registry.forget_log();
        bench.ok(&format!("push {options} dist {host}/{repository}"));
        bench.same("dist", &digest, &registry, &format!("{repository}/team/app:v1"));
        let log = registry.log();
        let writes = log.requests.iter().filter(|request| request.method == "PUT");
        assert!(writes.map(|request| request.user.as_deref()).all(|user| user == Some("somebody")), "{log:?}");
        // nobody tries the same wrong thing twice: one refusal says what is wanted
        assert!(log.requests.iter().filter(|request| request.status == 401).count() <= 1, "{log:?}");
    };
    let refused = |options: &str, hint: &str| {
        registry.forget_log();
        let said = bench.fails(5, &format!("push {options} dist {host}/refused"));
        assert!(said.contains(hint), "{said}");
        assert!(!said.contains("trying again") && !said.contains("se:cret"), "{said}");
        let log = registry.log();
        assert!(log.requests.iter().all(|request| matches!(request.method.as_str(), "GET" | "HEAD")), "{log:?}");
    };
    let login = format!("log in with `barge login {host}`");
    refused("", &login);
    refused("--creds somebody:wrong", "check the user name and the password");
    pushed("--creds somebody:se:cret", "creds");

    // login, and logout
    let with_input = |line: &str, input: &str| bench.run_with_input(line, input);
    let ran = with_input(&format!("login {host} -u somebody --password-stdin"), "wrong\n");
    assert_eq!(ran.code, Some(5), "{ran:?}");
    refused("", &login);
    let ran = with_input(&format!("login {host} -u somebody --password-stdin"), "se:cret\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    pushed("", "login");
    bench.ok(&format!("logout {host}"));
    refused("", &login);

    // what other programs keep; podman would write to the directory of docker's file, where that is named
    bench.work.run(&format!(
        "podman login --authfile run/containers/auth.json --tls-verify=false -u somebody -p se:cret {host}"
    ));
    pushed("", "podman");
    bench.work.run(&format!("podman logout --authfile run/containers/auth.json {host}"));
    bench.work.run(&format!("skopeo login --authfile own.json --tls-verify=false -u somebody -p se:cret {host}"));
    refused("", &login);
    pushed("--authfile own.json", "skopeo");
    let config = format!(
        r#"{{"auths": {{"{host}": {{"auth": "{}"}}}}}}"#,
        crate::distribution::http::base64("somebody:se:cret")
    );
    bench.work.write("home/config.json", &config);
    pushed("", "docker");
    bench.work.write("home/config.json", &config.replace(&host, "127.0.0.1:1"));
    refused("", &login);
}

#[test]
fn tokens_are_asked_for_what_is_done_and_no_more() {
    let Some(bench) = Bench::new(&["openssl"]) else { return };
    let digest = bench.merged("dist", "example.com/team/app:v1");
    let server = TokenServer::start(Rules::default());
    let registry = Distribution::start(Mode::Token(&server));
    let host = registry.host();
    bench.ok(&format!("push --creds pusher:secret dist {host}"));
    bench.same("dist", &digest, &registry, "team/app:v1");
    let asked = server.log();
    assert!(asked.iter().all(|asked| asked.user.as_deref() == Some("pusher") && asked.status == 200), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.service.as_deref() == Some(server.service())), "{asked:?}");
    let mut scopes: Vec<_> = asked.iter().map(|asked| asked.scopes.join(" ")).collect();
    scopes.sort();
    scopes.dedup();
    assert_eq!(scopes, ["repository:team/app:pull,push"]);
    // each of them once, however many requests there are
    assert_eq!(asked.len(), scopes.len(), "{asked:?}");

    // a mount needs both in one: from where an earlier run brought it, and from where this run did
    server.forget_log();
    registry.forget_log();
    bench.ok(&format!("push --creds pusher:secret dist:example.com/team/app:v1 {host}/team/a:v1 {host}/team/b:v1"));
    let mounts = registry.log().mounts();
    assert_eq!(mounts.len(), 30);
    let asked = server.log();
    for both in [
        ["repository:team/a:pull,push", "repository:team/app:pull"],
        ["repository:team/a:pull", "repository:team/b:pull,push"],
    ] {
        assert!(asked.iter().any(|asked| asked.scopes == both), "{both:?}: {asked:?}");
    }
}

#[test]
fn who_may_not_push_is_told_before_any_byte_is_sent() {
    let Some(bench) = Bench::new(&["openssl"]) else { return };
    bench.merged("dist", "example.com/team/app:v1");
    let server = TokenServer::start(Rules::default());
    let registry = Distribution::start(Mode::Token(&server));
    let host = registry.host();
    for (options, name, hint) in [
        ("--creds pusher:secret", "other/app:v1", "pusher"),
        ("--creds reader:secret", "team/app:v1", "reader"),
        ("", "team/app:v1", "log in with `barge login"),
        ("", "public/app:v1", "log in with `barge login"),
    ] {
        registry.forget_log();
        let said = bench.fails(5, &format!("push {options} dist:example.com/team/app:v1 {host}/{name}"));
        let repository = name.split(':').next().unwrap();
        assert!(said.contains(hint) && said.contains(repository), "{options} {name}: {said}");
        assert!(!said.contains("trying again") && !said.contains("secret"), "{said}");
        let log = registry.log();
        assert_eq!((log.received(), log.uploads().len()), (0, 0), "{log:?}");
        assert!(log.requests.len() <= 40, "{log:?}");
    }
    // one of two: nothing anywhere
    let said = bench.fails(
        5,
        &format!("push --creds pusher:secret dist:example.com/team/app:v1 {host}/team/app:v1 {host}/other/app:v1"),
    );
    assert!(said.contains("other/app"), "{said}");
    assert_eq!(registry.tags("team/app"), [""; 0]);
    let names = format!("{host}/other/app:v1 {host}/team/app:v1");
    let ran = bench.run(&format!("push --keep-going --creds pusher:secret dist:example.com/team/app:v1 {names}"));
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert_eq!((registry.tags("team/app"), registry.tags("other/app")), (vec!["v1".to_owned()], vec![]));

    let said = bench.fails(5, &format!("push --creds pusher:wrong dist:example.com/team/app:v1 {host}/team/app:v1"));
    assert!(said.contains("check the user name and the password"), "{said}");
}

#[test]
fn what_is_public_needs_no_login() {
    let Some(bench) = Bench::new(&["openssl"]) else { return };
    bench.merged("dist", "example.com/team/app:v1");
    let rules = Rules::default();
    let server = TokenServer::start(rules);
    let grant = crate::distribution::token::Grant::repository("public/*", &["push"]);
    server.rules().users.get_mut("pusher").unwrap().1.push(grant);
    let registry = Distribution::start(Mode::Token(&server));
    let host = registry.host();
    bench.ok(&format!(
        "push --creds pusher:secret dist:example.com/team/app:v1 {host}/public/app:v1 {host}/team/app:v1"
    ));
    server.forget_log();
    bench.ok(&format!("pull -o back {host}/public/app:v1"));
    bench.ok(&format!("diff dist docker://{host}/public/app:v1"));
    assert!(server.log().iter().all(|asked| asked.user.is_none() && asked.credential == "none"), "{:?}", server.log());
    let said = bench.fails(5, &format!("pull -o back {host}/team/app:v1"));
    assert!(said.contains("log in with `barge login"), "{said}");
    let ran = bench.run_with_input(&format!("login {host} -u reader --password-stdin"), "secret");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    bench.ok(&format!("pull -o back {host}/team/app:v1"));
    let ran = bench.run_with_input(&format!("login {host} -u reader --password-stdin"), "wrong");
    assert_eq!(ran.code, Some(5), "{ran:?}");
}

#[test]
fn a_password_goes_to_no_token_server_without_tls() {
    let Some(bench) = Bench::new(&["openssl"]) else { return };
    bench.merged("dist", "example.com/team/app:v1");
    let authority = Authority::new();
    let server = TokenServer::start(Rules::default());
    let registry = Distribution::start(Mode::TokenOverTls(&server, &authority));
    let options = format!("--ca-file {} --creds pusher:secret", authority.certificate().display());
    let said = bench.fails(5, &format!("push {options} dist {}", registry.host()));
    assert!(said.contains(&server.realm()) && said.contains("without TLS"), "{said}");
    assert_eq!(server.log(), []);
}

#[test]
fn a_token_that_ends_in_the_middle_is_no_failure() {
    let Some(bench) = Bench::new(&["openssl"]) else { return };
    let layers = bench.layers("dist", "example.com/team/app:v1", 11, &[1 << 20; 5]);
    let server = TokenServer::start(Rules { lifetime: 1.0, expires_in: Some(300), ..Rules::default() });
    let registry = Distribution::start(Mode::Token(&server));
    // what the answer says of its life is wrong: only a 401 tells, at the latest after two seconds
    let ran = bench.ok(&format!("push --limit-rate 2M --creds pusher:secret dist {}", registry.host()));
    let digest = bench.digest_of("dist", "example.com/team/app:v1");
    bench.same("dist", &digest, &registry, "team/app:v1");
    let log = registry.log();
    let unauthorized = log.requests.iter().filter(|request| request.status == 401 && request.path != "/v2/");
    assert!(unauthorized.count() > 0, "{log:?}");
    let mut uploads = log.uploads();
    uploads.retain(|digest| layers.contains(digest));
    assert_eq!(uploads, layers);
    assert!(!ran.stderr.contains("error"), "{ran:?}");
    let said = server.log().len();
    // a token that says when it ends is not used to its end
    server.rules().expires_in = Some(1);
    registry.forget_log();
    bench.ok(&format!("pull --jobs 1 --limit-rate 2M --creds pusher:secret -o back {}/team/app:v1", registry.host()));
    assert!(server.log().len() > said + 1);
    bench.ok("verify --deep back");
}

#[test]
fn one_password_is_not_for_two_registries() {
    let Some(bench) = Bench::new(&[]) else { return };
    bench.merged("dist", "example.com/team/app:v1");
    let registry = Distribution::start(Mode::Plain);
    let other = format!("127.0.0.1:{}", closed_port());
    let said = bench.fails(2, &format!("push --creds somebody:secret dist {} {other}", registry.host()));
    assert!(said.contains("barge login"), "{said}");
    assert_eq!(registry.log().requests, []);
}
