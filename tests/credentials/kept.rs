//! What a login and a logout do to a file.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::thread;

use barge::error::Class;
use barge::store::registry::credentials::{Credential, Directories, Form, Keeper, Secret};

use crate::{Place, mode, password, short, told};

fn names(place: &Place, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(place.path(directory)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_login_makes_the_file_for_its_owner_alone() {
    let place = Place::new();
    let file = place.file("new/directory/config.json");
    let keyring = place.keyring(std::slice::from_ref(&file));
    for credential in [
        password("user", "p:a:s s\u{e9}"),
        password("", "only"),
        Credential::IdentityToken(Secret::new("t")),
        Credential::RegistryToken(Secret::new("t")),
    ] {
        assert_eq!(keyring.store("quay.io", &credential, &file).unwrap(), Keeper::File(file.path.clone()));
        assert_eq!(keyring.find("quay.io", "a").unwrap().unwrap().credential, credential);
    }
    assert_eq!((mode(&file.path), mode(&place.path("new/directory")), mode(&place.path("new"))), (0o600, 0o700, 0o700));
    assert_eq!(names(&place, "new/directory"), ["config.json"]);
    assert_eq!(keyring.erase("quay.io", &file).unwrap(), [Keeper::File(file.path.clone())]);
    assert_eq!(keyring.find("quay.io", "a").unwrap(), None);
    assert_eq!(keyring.erase("quay.io", &file).unwrap(), []);
}

#[test]
fn a_logout_makes_no_file() {
    let place = Place::new();
    assert_eq!(place.keyring(&[]).erase("quay.io", &place.file("x/auth.json")).unwrap(), []);
    assert!(!place.path("x").exists());
}

#[test]
fn a_file_that_others_may_read_is_closed_to_them() {
    let place = Place::new();
    let file = place.write("auth.json", "{}");
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o664)).unwrap();
    place.keyring(&[]).store("quay.io", &password("u", "p"), &file).unwrap();
    assert_eq!(mode(&file.path), 0o600);
}

#[test]
fn a_file_that_cannot_be_understood_is_never_replaced() {
    for text in ["{\"auths\":{\"quay.io\":{\"auth\":", "not JSON", "[]", "{\"auths\":[]}", "{} {}"] {
        let place = Place::new();
        let file = place.write("config.json", text);
        let error = place.keyring(&[]).store("quay.io", &password("u", "hunter2"), &file).unwrap_err();
        assert_eq!(error.class(), Class::Content, "{text}");
        assert!(!told(&error).contains("hunter"));
        assert_eq!(place.keyring(&[]).erase("quay.io", &file).unwrap_err().class(), Class::Content, "{text}");
        assert_eq!(place.read("config.json"), text);
        assert_eq!(names(&place, ""), ["bin", "config.json"]);
    }
}

#[test]
fn a_link_stays_a_link() {
    for there in [true, false] {
        let place = Place::new();
        fs::create_dir(place.path("dotfiles")).unwrap();
        if there {
            place.write("dotfiles/docker.json", r#"{"psFormat":"x"}"#);
        }
        symlink("dotfiles/docker.json", place.path("second")).unwrap();
        symlink(place.path("second"), place.path("config.json")).unwrap();
        let file = place.file("config.json");
        place.keyring(&[]).store("quay.io", &password("u", "p"), &file).unwrap();
        assert_eq!(fs::read_link(&file.path).unwrap(), place.path("second"));
        assert_eq!(fs::read_link(place.path("second")).unwrap(), PathBuf::from("dotfiles/docker.json"));
        assert_eq!(names(&place, "dotfiles"), ["docker.json"]);
        assert_eq!(mode(&place.path("dotfiles/docker.json")), 0o600);
        assert_eq!(place.read("config.json").contains("psFormat"), there);
        assert_eq!(short(place.keyring(&[file]).find("quay.io", "a").unwrap().as_ref()), "u p");
    }
    let place = Place::new();
    symlink("config.json", place.path("config.json")).unwrap();
    place.keyring(&[]).store("quay.io", &password("u", "p"), &place.file("config.json")).unwrap_err();
}

#[test]
fn logins_at_the_same_time_lose_nothing() {
    const LOGINS: usize = 24;
    let place = Place::new();
    let file = place.file("new/auth.json");
    let keyring = place.keyring(std::slice::from_ref(&file));
    thread::scope(|scope| {
        for login in 0..LOGINS {
            let (keyring, file) = (&keyring, &file);
            scope.spawn(move || {
                let host = format!("r{login}.example");
                keyring.store(&host, &password("u", &host), file).unwrap();
                if login % 3 == 0 {
                    keyring.erase(&host, file).unwrap();
                }
            });
        }
    });
    for login in 0..LOGINS {
        let host = format!("r{login}.example");
        let expected = if login % 3 == 0 { "nothing".to_owned() } else { format!("u {host}") };
        assert_eq!(short(keyring.find(&host, "a").unwrap().as_ref()), expected);
    }
    assert_eq!(names(&place, "new"), ["auth.json"]);
}

#[test]
fn what_a_process_that_died_left_goes_and_nothing_else() {
    let place = Place::new();
    let file = place.write("auth.json", "{}");
    place.write(".auth.json.barge-0123456789abcdef", "secret");
    for name in [".auth.json.barge-mine", ".auth.json.barge-0123456789abcde_", ".config.json.barge-0123456789abcdef"] {
        place.write(name, "kept");
    }
    place.keyring(&[]).store("quay.io", &password("u", "p"), &file).unwrap();
    let left = names(&place, "");
    assert!(!left.iter().any(|name| name == ".auth.json.barge-0123456789abcdef"), "{left:?}");
    assert_eq!(left.len(), 5, "{left:?}");
}

#[test]
fn a_directory_that_cannot_be_written_leaves_the_file_as_it_was() {
    if rustix::process::geteuid().is_root() {
        return; // root writes everywhere
    }
    let place = Place::new();
    let file = place.write("d/auth.json", "{}");
    fs::set_permissions(place.path("d"), fs::Permissions::from_mode(0o500)).unwrap();
    let error = place.keyring(&[]).store("quay.io", &password("u", "p"), &file).unwrap_err();
    assert_eq!(error.class(), Class::Machine);
    assert_eq!(place.read("d/auth.json"), "{}");
    fs::set_permissions(place.path("d"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_login_goes_to_the_file_in_which_it_is_seen() {
    let known = r#"{"auths":{"quay.io":{"auth":"dTpw"}}}"#;
    let helped = r#"{"credHelpers":{"quay.io":"x"}}"#;
    let part = r#"{"auths":{"quay.io/team":{"auth":"dTpw"}}}"#;
    let (session, podman, docker) =
        ("run/containers/auth.json", "home/.config/containers/auth.json", "home/.docker/config.json");
    let legacy = "home/.dockercfg";
    for (there, registry, expected) in [
        (vec![], "quay.io", docker),
        (vec![(session, "{}")], "quay.io", session),
        (vec![(podman, "{}")], "quay.io", podman),
        (vec![(session, "{}"), (docker, "{}")], "quay.io", docker),
        (vec![(session, known), (docker, "{}")], "quay.io", session),
        (vec![(session, known), (docker, "{}")], "ghcr.io", docker),
        (vec![(session, helped), (docker, known)], "quay.io", session),
        (vec![(session, part), (docker, "{}")], "quay.io", docker),
        (vec![(session, part), (docker, "{}")], "quay.io/team", session),
        (vec![(docker, "{}")], "quay.io/team", session),
        (vec![(podman, "{}"), (docker, "{}")], "quay.io/team", podman),
        (vec![(legacy, r#"{"quay.io":{"auth":"dTpw"}}"#)], "quay.io", docker),
    ] {
        let place = Place::new();
        for (name, text) in &there {
            place.write(name, text);
        }
        let some = |name: &str| Some(place.path(name));
        let directories = Directories { runtime: some("run"), home: some("home"), ..Directories::default() };
        let keyring = place.keyring(&directories.files());
        assert_eq!(keyring.file_to_write(registry).unwrap().path, place.path(expected), "{there:?} {registry}");
    }
}

#[test]
fn the_file_that_a_setting_names_is_the_one_to_write() {
    let place = Place::new();
    let some = |name: &str| Some(place.path(name));
    place.write("run/containers/auth.json", r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#);
    let directories =
        Directories { runtime: some("run"), docker: some("chosen"), home: some("home"), ..Directories::default() };
    let mut keyring = place.keyring(&directories.files());
    assert_eq!(keyring.file_to_write("quay.io").unwrap().path, place.path("chosen/config.json"));
    keyring.authfile = some("my.json");
    let file = keyring.file_to_write("quay.io").unwrap();
    assert_eq!((&file.path, file.form), (&place.path("my.json"), Form::Containers));
    let nowhere = place.keyring(&[]).file_to_write("quay.io").unwrap_err();
    assert_eq!(nowhere.class(), Class::Absent);
}

#[test]
fn what_a_file_cannot_hold_is_refused() {
    let place = Place::new();
    let helped = place.write("helped.json", r#"{"credHelpers":{"quay.io":"x"}}"#);
    let cases = [
        ("quay.io/team", password("u", "p"), place.file("config.json"), Class::Unsupported),
        ("quay.io", password("u", "p"), place.file(".dockercfg"), Class::Unsupported),
        ("quay.io", password("u:v", "p"), place.file("auth.json"), Class::Unsupported),
        ("quay.io/team", password("u", "p"), helped, Class::Unsupported),
        ("quay.io/team:tag", password("u", "p"), place.file("auth.json"), Class::Usage),
        ("", password("u", "p"), place.file("auth.json"), Class::Usage),
    ];
    for (registry, credential, file, class) in cases {
        let error = place.keyring(&[]).store(registry, &credential, &file).unwrap_err();
        assert_eq!(error.class(), class, "{}", told(&error));
        assert!(error.hint().is_some());
    }
    assert_eq!(names(&place, ""), ["bin", "helped.json"]);
    let error = place.keyring(&[]).erase("quay.io", &place.file(".dockercfg")).unwrap_err();
    assert_eq!(error.class(), Class::Unsupported);
}

#[test]
fn a_part_of_a_registry_has_a_login_of_its_own() {
    let place = Place::new();
    let file = place.file("auth.json");
    let keyring = place.keyring(std::slice::from_ref(&file));
    keyring.store("quay.io", &password("all", "p"), &file).unwrap();
    keyring.store("quay.io/team/", &password("team", "p"), &file).unwrap();
    let find = |repository: &str| short(keyring.find("quay.io", repository).unwrap().as_ref());
    assert_eq!((find("team/app").as_str(), find("other").as_str()), ("team p", "all p"));
    keyring.erase("https://quay.io/", &file).unwrap();
    assert_eq!((find("team/app").as_str(), find("other").as_str()), ("team p", "nothing"));
    keyring.erase("quay.io/team", &file).unwrap();
    assert_eq!(find("team/app"), "nothing");
}
