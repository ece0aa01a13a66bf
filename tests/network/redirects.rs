//! Where a registry sends us: followed as far as it is safe, and without what proves who we are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bench::{Bench, image, noise};
use crate::pull::{names_nothing, publish};
use crate::registry::{Answer, Auth, FakeRegistry, Options, Rule};

const SECRET: &str = "hunter2-correct-horse";

/// Storage that refuses whatever shows a credential.
fn storage() -> FakeRegistry {
    FakeRegistry::with(Options { refuse_authorization: true, ..Options::default() })
}

fn ways() -> [Auth; 3] {
    [Auth::None, Auth::basic("me", SECRET), Auth::bearer("me", SECRET)]
}

/// Checks that a registry was asked, and was shown nothing.
#[track_caller]
fn was_shown_nothing(registry: &FakeRegistry) {
    let log = registry.log();
    assert!(!log.is_empty(), "it was not asked");
    let secret = STANDARD.encode(format!("me:{SECRET}"));
    for exchange in log {
        assert_eq!(exchange.authorization, None, "{exchange:?}");
        assert!(!format!("{exchange:?}").contains(&secret) && !format!("{exchange:?}").contains(SECRET));
    }
}

#[test]
fn blobs_elsewhere_come_without_a_credential() {
    for auth in ways() {
        let storage = storage();
        let front =
            FakeRegistry::sharing(&storage, Options { auth, blobs_at: Some(storage.url()), ..Options::default() });
        let (images, made) = image(&[noise(1, 2000), noise(2, 1_000_000)]);
        publish(&front, "app", "v1", &images);
        // also when it goes on after a cut
        storage.script([Rule::on("GET", "/v2/app/blobs/*").skip(2).once().body_cut_after(700)]);
        let bench = Bench::new();
        let line = format!("pull --creds me:{SECRET} -o back {}/app:v1", front.host());
        let done = bench.run(&line).exits(0).never(&[SECRET, "signature=secret"]);
        assert!(done.stdout().contains(&made.digest));
        was_shown_nothing(&storage);
        let _ = bench.run("verify back").exits(0);
    }
}

#[test]
fn uploads_elsewhere_go_without_a_credential() {
    for auth in ways().into_iter().skip(1) {
        for words in ["", "--chunk-size 300k"] {
            let storage = storage();
            let front = FakeRegistry::sharing(
                &storage,
                Options { auth: auth.clone(), uploads_at: Some(storage.url()), ..Options::default() },
            );
            let bench = Bench::new();
            let made = bench.image(&[noise(1, 2000), noise(2, 1_000_000)]);
            storage.script([Rule::on("P*T*", "/v2/app/blobs/uploads/*").skip(1).once().cut_after(100_000)]);
            let line = format!("push --jobs 1 --creds me:{SECRET} {words} dist {}/app:v1", front.host());
            let _ = bench.run(&line).exits(0).never(&[SECRET]);
            made.is_at(&front, "app", "v1");
            was_shown_nothing(&storage);
        }
    }
}

#[test]
fn an_upload_that_is_redirected_goes_there_with_its_body() {
    for status in [307, 308] {
        for words in ["", "--chunk-size 300k"] {
            let storage = storage();
            let auth = Auth::basic("me", SECRET);
            let front = FakeRegistry::sharing(&storage, Options { auth, ..Options::default() });
            // each of its requests is sent elsewhere, with the session's own query
            for session in 1..8 {
                let path = format!("/v2/app/blobs/uploads/00000000-0000-4000-8000-00000000000{session}");
                for state in 0..6 {
                    let to = format!("{}{path}?_state={state}", storage.url());
                    front.script([Rule::on("P*T*", &format!("{path}?_state={state}*")).redirect(status, to)]);
                }
            }
            let bench = Bench::new();
            let made = bench.image(&[noise(1, 2000), noise(2, 1_000_000)]);
            let line = format!("push --jobs 1 --creds me:{SECRET} {words} dist {}/app:v1", front.host());
            let _ = bench.run(&line).exits(0).never(&[SECRET]);
            made.is_at(&front, "app", "v1");
            was_shown_nothing(&storage);
        }
    }
}

#[test]
fn an_upload_that_is_redirected_in_its_middle_goes_on_there() {
    let storage = storage();
    let front = FakeRegistry::sharing(&storage, Options::default());
    let path = "/v2/app/blobs/uploads/00000000-0000-4000-8000-000000000001";
    let to = format!("{}{path}?_state=1", storage.url());
    front.script([Rule::on("PATCH", &format!("{path}?_state=1*")).redirect(307, to)]);
    let bench = Bench::new();
    let made = bench.image(&[noise(2, 1_000_000)]);
    let _ = bench.run(&format!("push --jobs 1 --chunk-size 300k dist {}/app:v1", front.host())).exits(0);
    made.is_at(&front, "app", "v1");
    let sent: u64 = [&front, &storage].iter().map(|it| it.bytes_received()).sum();
    assert!(sent < made.bytes() + 301 * 1024 + 1000, "{sent} bytes");
}

#[test]
fn manifests_are_followed_too() {
    let other = storage();
    let front = FakeRegistry::sharing(&other, Options { auth: Auth::basic("me", SECRET), ..Options::default() });
    let (images, made) = image(&[noise(1, 2000)]);
    publish(&front, "app", "v1", &images);
    front.script([Rule::on("GET", "/v2/app/manifests/v1")
        .redirect(302, format!("{}/v2/app/manifests/v1?signature=secret", other.url()))]);
    let bench = Bench::new();
    let _ = bench.run(&format!("pull --creds me:{SECRET} -o back {}/app:v1", front.host())).exits(0);
    was_shown_nothing(&other);
    // a tag that is to be written elsewhere is written there, its bytes along, and is then asked for here
    front.script([
        Rule::on("PUT", "/v2/app/manifests/v2").redirect(307, format!("{}/v2/app/manifests/v2", other.url()))
    ]);
    let _ = bench.run(&format!("push --creds me:{SECRET} back {}/app:v2", front.host())).exits(0);
    made.is_at(&front, "app", "v2");
    was_shown_nothing(&other);
}

#[test]
fn redirects_that_lead_nowhere_come_to_an_end() {
    for (status, location) in [
        (307, Some("/v2/app/manifests/v1")),
        (302, Some("v1")),
        (301, Some("http://127.0.0.1:1/v2/")),
        (307, None),
        (307, Some("")),
        (302, Some("ftp://127.0.0.1/x")),
        (302, Some("file:///etc/passwd")),
        (302, Some("http://me:password@127.0.0.1/x")),
        (302, Some("http://")),
        (302, Some("//")),
        (302, Some("http://127.0.0.1:99999/x")),
        (300, Some("/v2/")),
        (304, None),
        (399, None),
    ] {
        let (registry, bench) = (FakeRegistry::start(), Bench::new());
        let (images, _) = image(&[noise(1, 2000)]);
        publish(&registry, "app", "v1", &images);
        let mut answer = Answer::status(status);
        if let Some(location) = location {
            answer = answer.header("Location", location);
        }
        registry.script([Rule::on("*", "/v2/app/manifests/v1").answer(answer)]);
        for line in ["pull --retry 0 -o back HOST/app:v1", "push --retry 0 dist HOST/app:v1"] {
            bench.image(&[noise(3, 100)]);
            let code = bench.run(&line.replace("HOST", registry.host())).code();
            assert!(matches!(code, 1 | 3 | 4 | 6), "{status} {location:?}: {code}");
            names_nothing(&bench, "back");
            assert!(registry.log().len() < 60, "{status} {location:?}: {} requests", registry.log().len());
            registry.clear_log();
        }
    }
}

#[test]
fn an_upload_that_leads_nowhere_comes_to_an_end() {
    let bench = Bench::new();
    bench.image(&[noise(3, 100)]);
    let line = |registry: &FakeRegistry| format!("push --retry 0 dist {}/app:v1", registry.host());
    for answer in [
        Answer::status(202),
        Answer::status(202).header("Location", ""),
        Answer::status(202).header("Location", "ftp://127.0.0.1/x"),
        Answer::status(202).header("Location", "http://me:password@127.0.0.1/x"),
        Answer::status(202).header("Location", "http://127.0.0.1:1/gone"),
        Answer::status(202).header("Location", "x".repeat(100_000)),
        Answer::status(200),
        Answer::status(201),
        Answer::status(302).header("Location", "/v2/app/blobs/uploads/"),
        Answer::status(307).header("Location", "/v2/app/blobs/uploads/"),
    ] {
        let registry = FakeRegistry::start();
        registry.script([Rule::on("POST", "/v2/app/blobs/uploads/").answer(answer)]);
        let code = bench.run(&line(&registry)).code();
        assert!(matches!(code, 1 | 3 | 4 | 6), "{code}");
        assert_eq!(registry.tags("app"), [""; 0]);
        assert!(registry.log().len() < 60, "{} requests", registry.log().len());
    }
    let registry = FakeRegistry::start();
    registry.script([Rule::on("PUT", "/v2/app/blobs/uploads/*")
        .redirect(307, "/v2/app/blobs/uploads/00000000-0000-4000-8000-000000000001?_state=0")]);
    let _ = bench.run(&line(&registry)).exits(1).says(&["in circles"]);
    assert!(registry.log().len() < 60, "{} requests", registry.log().len());
}

#[test]
fn what_another_host_asks_for_it_does_not_get() {
    // it is led to by the registry, and asks for the password: by itself, or by a token server of its own
    for challenge in ["Basic realm=\"x\"", "Bearer realm=\"URL/token\",service=\"x\""] {
        let thief = FakeRegistry::start();
        let ask = challenge.replace("URL", &thief.url());
        thief.script([Rule::on("*", "/v2/*").answer(Answer::status(401).header("WWW-Authenticate", &ask))]);
        let auth = Auth::bearer("me", SECRET);
        let front = FakeRegistry::with(Options {
            auth,
            blobs_at: Some(thief.url()),
            uploads_at: Some(thief.url()),
            ..Options::default()
        });
        let (images, _) = image(&[noise(1, 2000), noise(2, 1_000_000)]);
        publish(&front, "app", "v1", &images);
        let bench = Bench::new();
        let _ = bench.run(&format!("pull --creds me:{SECRET} -o back {}/app:v1", front.host())).exits(5);
        bench.image(&[noise(1, 3000)]);
        // what the one has asked for would be shown for the other
        let line = format!("push --keep-going --retry 1 --creds me:{SECRET} dist {0}/b:v1 {0}/c:v1", front.host());
        let _ = bench.run(&line).exits(7);
        was_shown_nothing(&thief);
        assert_eq!(thief.count("*", "/token"), 0, "it was asked for a token");
        // and the registry itself is shown no password in the open
        let basic = STANDARD.encode(format!("me:{SECRET}"));
        let shown = front
            .log()
            .iter()
            .filter(|it| it.path != "/token")
            .any(|it| it.authorization.as_ref().is_some_and(|it| it.contains(&basic)));
        assert!(!shown, "{challenge}");
    }
}
