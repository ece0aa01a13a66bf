//! What is found in files, as docker, podman and skopeo write them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use barge::error::Class;
use barge::store::registry::credentials::{AuthFile, Keeper, Keyring, Secret};

use crate::{Place, short, told};

/// After `docker login` to Docker Hub, a cloud and a registry of one's own.
const DOCKER: &str = r#"{
	"auths": {
		"https://index.docker.io/v1/": {
			"auth": "aHViOnA6dzpk"
		},
		"https://index.docker.io/v1/access-token": {
			"auth": "aHViOmp3dA=="
		},
		"cloud.azurecr.io": {
			"auth": "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==",
			"identitytoken": "refresh"
		},
		"localhost:5000": {
			"auth": "bG9jYWw6cA=="
		},
		"https://old.example/v1/": {
			"auth": "b2xkOnAAAA==",
			"email": "a@b.example"
		},
		"http://page.example/some/page": {
			"auth": "cGFnZTpw"
		}
	},
	"HttpHeaders": {
		"User-Agent": "Docker-Client/18.09.7 (linux)"
	}
}"#;

/// After `podman login` to registries and to parts of one.
const PODMAN: &str = r#"{
	"auths": {
		"docker.io": {
			"auth": "aHViOnA="
		},
		"quay.io": {
			"auth": "cXVheTpw"
		},
		"quay.io/team": {
			"auth": "dGVhbTpw"
		},
		"quay.io/team/app": {
			"auth": "YXBwOnA="
		}
	}
}"#;

/// As people and cluster tools write it.
const BY_HAND: &str = r#"{"Auths": {
    "apart.example": {"username": "u", "password": "p:w"},
    "both.example": {"username": "no", "password": "no", "auth": "dTpw"},
    "bearer.example": {"registrytoken": "t"},
    "folded.example": {"auth": "dT\npw\n"},
    "bare.example": {"auth": "eHg6eQ"},
    "nobody.example": {"auth": "OnA="},
    "capital.example": {"identityToken": "t"},
    "empty.example": {},
    "blank.example": {"auth": ""},
    "null.example": null,
    "half.example": {"username": "u"},
    "quay.io": {"auth": "cXVheTpw"},
    "quay.io/team": {}
}}"#;

#[test]
fn what_other_programs_wrote_is_found() {
    for (text, name, registry, repository, expected) in [
        (DOCKER, "config.json", "docker.io", "library/app", "hub p:w:d"),
        (DOCKER, "config.json", "index.docker.io", "library/app", "hub p:w:d"),
        (DOCKER, "config.json", "registry-1.docker.io", "me/app", "hub p:w:d"),
        (DOCKER, "config.json", "cloud.azurecr.io", "app", "identity refresh"),
        (DOCKER, "config.json", "localhost:5000", "app", "local p"),
        (DOCKER, "config.json", "localhost", "app", "nothing"),
        (DOCKER, "config.json", "localhost:5001", "app", "nothing"),
        (DOCKER, "config.json", "old.example", "app", "old p"),
        (DOCKER, "config.json", "page.example", "app", "page p"),
        (DOCKER, "config.json", "ghcr.io", "app", "nothing"),
        (PODMAN, "auth.json", "docker.io", "library/app", "hub p"),
        (PODMAN, "auth.json", "quay.io", "other/app", "quay p"),
        (PODMAN, "auth.json", "quay.io", "team/other", "team p"),
        (PODMAN, "auth.json", "quay.io", "team/app", "app p"),
        (PODMAN, "auth.json", "quay.io", "team/app/part", "app p"),
        (PODMAN, "auth.json", "quay.io", "team/application", "team p"),
        (PODMAN, "auth.json", "quay.io", "teams/app", "quay p"),
        (PODMAN, "auth.json", "quay.io", "", "quay p"),
        (BY_HAND, "auth.json", "apart.example", "app", "u p:w"),
        (BY_HAND, "auth.json", "both.example", "app", "u p"),
        (BY_HAND, "auth.json", "bearer.example", "app", "bearer t"),
        (BY_HAND, "auth.json", "folded.example", "app", "u p"),
        (BY_HAND, "auth.json", "bare.example", "app", "xx y"),
        (BY_HAND, "auth.json", "nobody.example", "app", " p"),
        (BY_HAND, "auth.json", "capital.example", "app", "identity t"),
        (BY_HAND, "auth.json", "empty.example", "app", "nothing"),
        (BY_HAND, "auth.json", "blank.example", "app", "nothing"),
        (BY_HAND, "auth.json", "null.example", "app", "nothing"),
        (BY_HAND, "auth.json", "half.example", "app", "nothing"),
        (BY_HAND, "auth.json", "quay.io", "team/app", "quay p"),
        (r#"{"https://old.example/v1/":{"auth":"dTpw","email":"x"}}"#, ".dockercfg", "old.example", "a", "u p"),
        (r#"{"old.example/any/thing":{"auth":"dTpw"}}"#, ".dockercfg", "old.example", "a", "u p"),
        // both spellings of Docker Hub: docker's in docker's file, podman's in podman's
        (
            r#"{"auths":{"docker.io":{"auth":"YTpi"},"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#,
            "config.json",
            "docker.io",
            "a",
            "u p",
        ),
        (
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"},"docker.io":{"auth":"dTpw"}}}"#,
            "auth.json",
            "docker.io",
            "a",
            "u p",
        ),
        ("", "config.json", "quay.io", "a", "nothing"),
        ("{}", "config.json", "quay.io", "a", "nothing"),
        (r#"{"auths":null,"credHelpers":null,"credsStore":null}"#, "config.json", "quay.io", "a", "nothing"),
    ] {
        let place = Place::new();
        let file = place.write(name, text);
        let found = place.keyring(std::slice::from_ref(&file)).find(registry, repository).unwrap();
        assert_eq!(short(found.as_ref()), expected, "{registry}/{repository} in {name}: {text}");
        assert!(found.is_none_or(|found| found.keeper == Keeper::File(file.path)));
    }
}

#[test]
fn files_are_searched_in_turn_and_what_is_given_wins() {
    let place = Place::new();
    let files = [place.file("absent.json"), place.write("auth.json", PODMAN), place.write("config.json", DOCKER)];
    let mut keyring = place.keyring(&files);
    let find = |keyring: &Keyring, registry: &str| short(keyring.find(registry, "a").unwrap().as_ref());
    assert_eq!(find(&keyring, "docker.io"), "hub p");
    assert_eq!(find(&keyring, "localhost:5000"), "local p");
    // one file, whatever the others say
    keyring.authfile = Some(place.path("config.json"));
    assert_eq!(find(&keyring, "docker.io"), "hub p:w:d");
    assert_eq!(find(&keyring, "quay.io"), "nothing");
    keyring.authfile = Some(place.path("absent.json"));
    let error = keyring.find("quay.io", "a").unwrap_err();
    assert_eq!(error.class(), Class::Absent);
    assert!(error.to_string().starts_with("cannot find \"absent.json\" in /"), "{error}");
    assert!(error.hint().unwrap().contains("--authfile"));
    keyring.given = Some(("me".to_owned(), Secret::new("mine")));
    let found = keyring.find("quay.io", "a").unwrap().unwrap();
    assert_eq!((short(Some(&found)).as_str(), found.keeper), ("me mine", Keeper::Given));
}

#[test]
fn a_file_that_cannot_be_understood_is_said_and_no_secret_of_it() {
    for (text, complaint) in [
        ("{\"auths\":{\"quay.io\":{\"auth\":\"hunter2", "it is not strict JSON: EOF"),
        ("hunter2", "it is not strict JSON"),
        ("\u{feff}{}", "byte order mark"),
        ("[]", "it is no JSON object"),
        ("{\"auths\":[]}", "auths is no object"),
        ("{\"credHelpers\":\"hunter2\"}", "credHelpers is no object"),
        ("{\"credHelpers\":{\"quay.io\":7}}", "an item of credHelpers is no text"),
        ("{\"credsStore\":7}", "credsStore is no text"),
        ("{\"auths\":{\"quay.io\":\"hunter2\"}}", "the entry of \"quay.io\" is wrong: it is no object"),
        ("{\"auths\":{\"quay.io\":{\"auth\":\"hunter2!\"}}}", "auth is not base64"),
        ("{\"auths\":{\"quay.io\":{\"auth\":\"aHVudGVyMg==\"}}}", "auth has no colon"),
        ("{\"auths\":{\"quay.io\":{\"auth\":\"/zpo\"}}}", "auth is not UTF-8"),
        ("{\"auths\":{\"quay.io\":{\"username\":\"u\",\"password\":74277}}}", "password is no text"),
        ("{\"auths\":{\"quay.io\":{},\"quay.io\":{}}}", "stands there twice"),
    ] {
        let place = Place::new();
        let file = place.write("auth.json", text);
        let error = place.keyring(&[file]).find("quay.io", "a").unwrap_err();
        let told = told(&error);
        assert!(told.contains(complaint), "{text}: {told}");
        assert!(told.starts_with("cannot use the credentials in /") && told.contains("auth.json"), "{told}");
        assert!(!told.contains("hunter") && !told.contains("74277") && !told.contains("aHVud"), "{told}");
        assert_eq!(error.class(), Class::Content);
        assert!(error.hint().is_some());
    }
}

#[test]
fn an_entry_of_another_registry_that_is_wrong_is_no_matter() {
    let place = Place::new();
    let text = r#"{"auths":{"broken.example":{"auth":"!"},"quay.io":{"auth":"dTpw"}}}"#;
    let found = place.keyring(&[place.write("auth.json", text)]).find("quay.io", "a").unwrap();
    assert_eq!(short(found.as_ref()), "u p");
}

#[test]
fn what_is_no_file_of_a_sensible_size_is_refused_at_once() {
    let place = Place::new();
    let complaint = |file: AuthFile| told(&place.keyring(&[file]).find("quay.io", "a").unwrap_err());
    fs::create_dir(place.path("directory.json")).unwrap();
    assert!(complaint(place.file("directory.json")).contains("no regular file"));
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("pipe.json"), rustix::fs::Mode::RUSR).unwrap();
    assert!(complaint(place.file("pipe.json")).contains("no regular file"));
    let large = fs::File::create(place.path("large.json")).unwrap();
    large.set_len(16 * 1024 * 1024 + 1).unwrap();
    assert!(complaint(place.file("large.json")).contains("more than 16777216 bytes"));
    symlink("loop.json", place.path("loop.json")).unwrap();
    assert!(complaint(place.file("loop.json")).contains("cannot read"));
    let deep = place.write("deep.json", &"[".repeat(100_000));
    assert!(complaint(deep).contains("recursion limit"));
}

#[test]
fn a_file_below_something_that_is_no_directory_is_not_there() {
    let place = Place::new();
    let below = AuthFile::named(std::path::Path::new("/dev/null/config.json"));
    assert_eq!(place.keyring(&[below]).find("quay.io", "a").unwrap(), None);
}

#[test]
fn a_file_that_may_not_be_read_is_no_file_that_says_nothing() {
    if rustix::process::geteuid().is_root() {
        return; // root reads everything
    }
    let place = Place::new();
    let file = place.write("auth.json", PODMAN);
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(place.keyring(&[file]).find("quay.io", "a").unwrap_err().class(), Class::Machine);
}
