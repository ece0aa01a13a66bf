//! `barge key`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use barge::digest::Digest;
use barge::signing::{KeyType, Password, PrivateKey, PublicKey};
use serde_json::Value;

use crate::work::{Work, work};

fn with(work: &Work, line: &str, variables: &[(&str, &str)]) -> Output {
    work.command(line).envs(variables.iter().copied()).output().unwrap()
}

/// Runs a command that must end with this code, and returns what it said on standard error.
#[track_caller]
fn ends(work: &Work, line: &str, variables: &[(&str, &str)], code: i32) -> String {
    let output = with(work, line, variables);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}\n{said}");
    said
}

#[test]
fn a_key_is_made_and_read_again() {
    let work = work(&[]).unwrap();
    for (flags, key_type, password) in [
        ("", KeyType::P256, Some("BARGE_PASSWORD")),
        ("--type p256", KeyType::P256, Some("COSIGN_PASSWORD")),
        ("--type ed25519", KeyType::Ed25519, Some("BARGE_PASSWORD")),
        ("--type p256 --no-password", KeyType::P256, None),
        ("--type ed25519 --no-password", KeyType::Ed25519, None),
    ] {
        let variables: Vec<(&str, &str)> = password.iter().map(|name| (*name, "pass word")).collect();
        let made = with(&work, &format!("barge key generate {flags} -o release --force --json"), &variables);
        assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
        let json: Value = serde_json::from_slice(&made.stdout).unwrap();
        let result = &json["results"][0];

        let pem = work.read("release.key");
        let key = PrivateKey::from_pem(&pem, password.map(|_| Password::new("pass word")).as_ref()).unwrap();
        let public = PublicKey::from_pem(&work.read("release.pub")).unwrap();
        assert_eq!((key.key_type(), key.public_key()), (key_type, public.clone()));
        let begin = if password.is_some() { "-----BEGIN ENCRYPTED SIGSTORE " } else { "-----BEGIN PRIVATE " };
        assert!(pem.starts_with(begin.as_bytes()));
        for (name, mode) in [("release.key", 0o600), ("release.pub", 0o644)] {
            assert_eq!(fs::metadata(work.path(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
        }
        assert_eq!(result["type"], key_type.name());
        assert_eq!(result["fingerprint"], public.fingerprint().to_string());
        assert_eq!(result["encrypted"], password.is_some());
        assert_eq!((&result["privateKey"], &result["publicKey"]), (&"release.key".into(), &"release.pub".into()));

        let printed = with(&work, "barge key public release.key", &variables);
        assert_eq!(printed.stdout, public.to_pem().as_bytes());
        let said = String::from_utf8(printed.stderr).unwrap();
        assert_eq!(said, format!("{key_type} {}\n", public.fingerprint()));
        assert_eq!(work.bytes("barge key public -q release.pub"), public.to_pem().as_bytes());
    }
    // nothing is left beside them
    let mut names: Vec<String> =
        fs::read_dir(work.root()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.contains("key") || name.contains("release"));
    names.sort();
    assert_eq!(names, ["release.key", "release.pub"]);
}

#[test]
fn a_key_that_is_there_is_never_lost() {
    let work = work(&[]).unwrap();
    for name in ["release.key", "release.pub"] {
        work.write(name, "precious");
        let before = Digest::of(&work.read(name));
        let said = ends(&work, "barge key generate --no-password -o release", &[], 9);
        assert!(said.contains(name) && said.contains("--force"), "{said}");
        assert_eq!(Digest::of(&work.read(name)), before);
        let other = if name == "release.key" { "release.pub" } else { "release.key" };
        assert!(!work.path(other).exists(), "{other} was written");
        fs::remove_file(work.path(name)).unwrap();
    }
    // a link that leads nowhere is there too
    std::os::unix::fs::symlink("/nowhere/at/all", work.path("release.key")).unwrap();
    ends(&work, "barge key generate --no-password -o release", &[], 9);
}

#[test]
fn a_dry_run_writes_nothing() {
    let work = work(&[]).unwrap();
    let said = ends(&work, "barge key generate -o release --dry-run", &[], 0);
    assert!(said.contains("release.key") && said.contains("release.pub"), "{said}");
    assert!(!work.path("release.key").exists() && !work.path("release.pub").exists());
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let work = work(&[]).unwrap();
    ends(&work, "barge key generate -o release", &[("BARGE_PASSWORD", "right")], 0);
    work.write("broken.key", "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n");
    work.write("large.key", &"x".repeat(70_000));
    work.write("notes.txt", "hello");
    let empty = [("BARGE_PASSWORD", "")];
    for (line, variables, code, said) in [
        ("barge key public release.key", &[("BARGE_PASSWORD", "wrong")][..], 5, "caused by: the password is wrong"),
        // the first that is set counts
        ("barge key public release.key", &[("BARGE_PASSWORD", "wrong"), ("COSIGN_PASSWORD", "right")], 5, "is wrong"),
        ("barge key public release.key", &[], 2, "there is no terminal"),
        ("barge key public nothing.key", &[], 3, "cannot find the key nothing.key"),
        ("barge key public notes.txt", &[], 4, "no key in PEM"),
        ("barge key public broken.key", &[], 4, "not base64"),
        ("barge key public large.key", &[], 4, "more than 65536 bytes"),
        ("barge key public .", &[], 10, "cannot read ."),
        ("barge key generate -o other", &[], 2, "there is no terminal"),
        ("barge key generate -o other", &empty, 2, "the password is empty"),
        ("barge key generate -o other --no-password", &[("COSIGN_PASSWORD", "x")], 2, "unset COSIGN_PASSWORD"),
        ("barge key generate -o nowhere/other --no-password", &[], 3, "cannot create a file in nowhere"),
        ("barge key generate -o .. --no-password", &[], 2, "cannot make files that begin with .."),
        ("barge key generate", &[], 2, "--output"),
        ("barge key generate -o other --type rsa", &[], 2, "p256"),
    ] {
        let told = ends(&work, line, variables, code);
        assert!(told.contains(said), "{line}: {told}");
        assert!(told.contains("\nhint: ") || [3, 10].contains(&code) || told.contains("--help"), "{line}: {told}");
        assert!(!told.contains("right"), "{told}");
    }
    ends(&work, "barge key generate -o other --no-password", &empty, 0);
    let made =
        fs::read_dir(work.root()).unwrap().filter(|it| it.as_ref().unwrap().path().to_string_lossy().contains("other"));
    assert_eq!(made.count(), 2);
}
