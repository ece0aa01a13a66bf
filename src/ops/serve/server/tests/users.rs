//! Users with passwords.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::{Client, Limits, Reply, Running, eventually, options, text};
use crate::error::Class;
use crate::ops::serve::server::htpasswd::Users;

fn hashed(password: &str, cost: u32) -> String {
    bcrypt::hash(password, cost).unwrap()
}

fn file(directory: &TempDir, lines: &str) -> PathBuf {
    let path = directory.path().join("users");
    std::fs::write(&path, lines).unwrap();
    path
}

fn running(path: &Path) -> Running {
    let mut options = options();
    options.htpasswd = Some(path.to_owned());
    Running::start_with(options, Limits::default(), |_| text("x"))
}

fn get_as(client: &mut Client, credential: impl AsRef<[u8]>) -> Reply {
    let credential = STANDARD.encode(credential);
    client.send(format!("GET /v2/ HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {credential}\r\n\r\n"));
    client.reply()
}

#[test]
fn only_who_shows_the_password_is_answered() {
    let directory = TempDir::new().unwrap();
    let long = "x".repeat(72);
    let lines = format!(
        "# comment\n\njane:{}\r\nmax:{}\nlong:{}\n",
        hashed("se:cret", 4),
        hashed("other", 4).replacen("$2b$", "$2y$", 1),
        hashed(&long, 4),
    );
    let running = running(&file(&directory, &lines));
    let mut client = running.connect();
    for (case, credential, status) in [
        ("right", b"jane:se:cret".to_vec(), 200),
        ("right again", b"jane:se:cret".to_vec(), 200),
        ("right, of another", b"max:other".to_vec(), 200),
        ("wrong", b"jane:secret".to_vec(), 401),
        ("wrong again", b"jane:secret".to_vec(), 401),
        ("of another", b"jane:other".to_vec(), 401),
        ("nobody", b"joe:other".to_vec(), 401),
        ("no password", b"jane:".to_vec(), 401),
        ("no name", b":other".to_vec(), 401),
        ("no colon", b"jane".to_vec(), 401),
        ("no text", vec![0xff, 0xfe, b':'], 401),
        ("as long as can be seen", format!("long:{long}").into_bytes(), 200),
        ("longer than can be seen", format!("long:{long}y").into_bytes(), 401),
        ("repeated after a NUL", b"max:other\0other".to_vec(), 401),
    ] {
        assert_eq!(get_as(&mut client, credential).status, status, "{case}");
    }
    let users: Vec<_> = running.told(3).into_iter().take(3).map(|told| told.user).collect();
    assert_eq!(users, [Some("jane".to_owned()), Some("jane".to_owned()), Some("max".to_owned())]);
    for (path, field) in [
        ("/v2/", ""),
        ("/metrics", ""),
        ("/v2/", "Authorization: Bearer x\r\n"),
        ("/", "Authorization: Basic %\r\n"),
        // neither a name nor a password, as skopeo and podman send it when they know none
        ("/v2/", "Authorization: Basic Og==\r\n"),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
        let reply = client.reply();
        assert_eq!(reply.status, 401, "{path} {field}");
        assert_eq!(reply.field("www-authenticate"), Some("Basic realm=\"barge\", charset=\"UTF-8\""));
        assert!(reply.text().contains("\"code\":\"UNAUTHORIZED\""));
        assert!(reply.text().contains("say who you are"), "{field}: {}", reply.text());
    }
}

#[test]
fn a_file_that_changes_counts_and_one_that_is_broken_does_not() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, &format!("jane:{}\n", hashed("old", 4)));
    let running = running(&path);
    let mut client = running.connect();
    assert_eq!(get_as(&mut client, "jane:old").status, 200);
    file(&directory, &format!("jane:{}\nmax:{}\n", hashed("new", 4), hashed("max", 4)));
    eventually(|| (get_as(&mut client, "jane:old").status == 401).then_some(()));
    assert_eq!(get_as(&mut client, "jane:new").status, 200);
    assert_eq!(get_as(&mut client, "max:max").status, 200);
    file(&directory, "jane:plain text\n");
    eventually(|| {
        get_as(&mut client, "max:max");
        (running.warnings().len() == 2).then_some(())
    });
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(get_as(&mut client, "jane:new").status, 200);
    assert_eq!(get_as(&mut client, "jane:plain text").status, 401);
    std::fs::remove_file(&path).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(get_as(&mut client, "jane:new").status, 200);
    let warnings = running.warnings();
    assert_eq!(warnings.len(), 3, "each is told once: {warnings:?}");
    assert!(warnings[1].contains("line 1: the password is not hashed with bcrypt"), "{warnings:?}");
}

#[test]
fn many_wrong_passwords_do_not_hold_up_those_who_are_known() {
    let directory = TempDir::new().unwrap();
    let running = Arc::new(running(&file(&directory, &format!("jane:{}\n", hashed("right", 9)))));
    let mut jane = running.connect();
    assert_eq!(get_as(&mut jane, "jane:right").status, 200);
    let wrong: Vec<_> = (0..40)
        .map(|number| {
            let running = Arc::clone(&running);
            std::thread::spawn(move || get_as(&mut running.connect(), format!("jane:wrong{number}")).status)
        })
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    for _ in 0..20 {
        assert_eq!(get_as(&mut jane, "jane:right").status, 200);
    }
    // had she waited for them, they would have ended
    let under_way = wrong.iter().filter(|wrong| !wrong.is_finished()).count();
    assert!(under_way > 5, "{under_way}");
    for wrong in wrong {
        assert_eq!(wrong.join().unwrap(), 401);
    }
}

#[test]
fn a_line_that_cannot_be_used_is_named_with_what_to_do() {
    let directory = TempDir::new().unwrap();
    let good = hashed("x", 4);
    let dear = good.replacen("$04$", "$17$", 1);
    for (lines, cause, hint) in [
        ("".to_owned(), "it has no user", "add one: htpasswd -B"),
        ("# only\n\n".to_owned(), "it has no user", "add one: htpasswd -B"),
        (format!("a:{good}\nb\n"), "line 2: it has no colon", "expected is NAME:HASH"),
        (format!(":{good}"), "line 1: it has no name", "expected is NAME:HASH"),
        ("a:$apr1$x$y".to_owned(), "line 1: the password is not hashed with bcrypt", "htpasswd -B"),
        ("a:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=".to_owned(), "line 1: the password is not hashed", "htpasswd -B"),
        (format!("a:{}", good.replacen("$2b$", "$2x$", 1)), "line 1: the password is not hashed", "htpasswd -B"),
        (format!("a:{good}x"), "line 1: the password is not hashed with bcrypt", "htpasswd -B"),
        (format!("a:{dear}"), "line 1: its cost is 17, and 4 to 16 is allowed", "htpasswd -B"),
        (format!("a:{good}\n#\na:{good}"), "line 3: \"a\" stands there twice", "take one"),
        ("x".repeat(2_000_000), "it is larger than 1 MiB", ""),
    ] {
        let error = Users::read(&file(&directory, &lines)).unwrap_err();
        let start = &lines[..lines.len().min(40)];
        assert_eq!(error.class(), Class::Content, "{start}");
        assert!(error.to_string().contains("/users for passwords"), "{error}");
        assert!(error.causes()[0].starts_with(cause), "{start}: {:?}", error.causes());
        assert!(error.hint().unwrap_or_default().contains(hint), "{start}: {:?}", error.hint());
    }
    let error = Users::read(&directory.path().join("missing")).unwrap_err();
    assert_eq!(error.class(), Class::Absent);
    assert_eq!(Users::read(directory.path()).unwrap_err().causes(), ["it is no regular file"]);
}

#[test]
fn a_name_that_nobody_has_takes_as_long_as_one_that_somebody_has() {
    let directory = TempDir::new().unwrap();
    let (users, _) = Users::read(&file(&directory, &format!("jane:{}\n", hashed("x", 9)))).unwrap();
    let time = |name: &str| {
        let began = Instant::now();
        assert!(users.check(name, b"wrong").is_none());
        began.elapsed()
    };
    let shortest = |name: &str| (0..3).map(|_| time(name)).min().unwrap();
    let (known, unknown) = (shortest("jane"), shortest("joe"));
    assert!(unknown > known / 2 && unknown < known * 2, "{known:?} {unknown:?}");
}
