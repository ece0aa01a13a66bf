//! What credential helpers are asked, and what they answer.

use std::fs;

use barge::error::Class;
use barge::store::registry::credentials::{Keeper, Keyring};

use crate::{Place, password, short, told};

const NOTHING: &str = "echo 'credentials not found in native keychain'; exit 1";

#[test]
fn a_helper_is_asked_for_what_the_file_calls_the_registry() {
    for (text, registry, expected) in [
        (r#"{"credHelpers":{"quay.io":"echo"}}"#, "quay.io", "get quay.io"),
        (r#"{"credHelpers":{"docker.io":"echo"}}"#, "docker.io", "get docker.io"),
        (r#"{"credHelpers":{"https://index.docker.io/v1/":"echo"}}"#, "docker.io", "get https://index.docker.io/v1/"),
        (r#"{"credsStore":"echo"}"#, "docker.io", "get https://index.docker.io/v1/"),
        (r#"{"credsStore":"echo"}"#, "localhost:5000", "get localhost:5000"),
        // the helper of the registry, not that of all
        (r#"{"credsStore":"other","credHelpers":{"quay.io":"echo"}}"#, "quay.io", "get quay.io"),
        // an entry without content only says that somebody else knows
        (r#"{"auths":{"quay.io":{}},"credsStore":"echo"}"#, "quay.io", "get quay.io"),
        // what a registry has a helper for does not stand in the file
        (r#"{"auths":{"quay.io":{"auth":"dTpw"}},"credHelpers":{"quay.io":"echo"}}"#, "quay.io", "get quay.io"),
        (r#"{"auths":{"quay.io":{"auth":"dTpw"}},"credsStore":"echo"}"#, "quay.io", "u p"),
        (r#"{"auths":{"quay.io/a":{"auth":"dTpw"}},"credsStore":"echo"}"#, "quay.io", "u p"),
        (r#"{"auths":{"quay.io/b":{"auth":"dTpw"}},"credsStore":"echo"}"#, "quay.io", "get quay.io"),
        // an empty name takes a registry out
        (r#"{"credsStore":"echo","credHelpers":{"quay.io":""}}"#, "quay.io", "nothing"),
        (r#"{"credsStore":""}"#, "quay.io", "nothing"),
    ] {
        let place = Place::new();
        place.helper("echo", r#"printf '{"ServerURL":"x","Username":"%s","Secret":"%s"}' "$1" "$(cat)""#);
        let file = place.write("config.json", text);
        let found = place.keyring(std::slice::from_ref(&file)).find(registry, "a").unwrap();
        assert_eq!(short(found.as_ref()), expected, "{text}");
        if expected.starts_with("get") {
            let program = "docker-credential-echo".to_owned();
            assert_eq!(found.unwrap().keeper, Keeper::Helper { program, file: file.path });
        }
    }
}

#[test]
fn a_helper_that_knows_nothing_is_no_failure_and_the_search_goes_on() {
    let place = Place::new();
    place.helper("empty", NOTHING);
    place.helper("aloud", "echo 'error getting credentials: credentials not found in native keychain' >&2; exit 1");
    place.helper("late", "yes | head -c 5000; echo 'credentials not found in native keychain (-50)'; exit 2");
    place.helper("blank", "echo '{\"ServerURL\":\"\",\"Username\":\"\",\"Secret\":\"\"}'");
    let after = place.write("config.json", r#"{"auths":{"quay.io":{"auth":"dTpw"}}}"#);
    for helper in ["empty", "aloud", "late", "blank"] {
        for text in
            [format!(r#"{{"credHelpers":{{"quay.io":"{helper}"}}}}"#), format!(r#"{{"credsStore":"{helper}"}}"#)]
        {
            let before = place.write("auth.json", &text);
            let found = place.keyring(&[before, after.clone()]).find("quay.io", "a").unwrap();
            assert_eq!(short(found.as_ref()), "u p", "{text}");
        }
    }
}

#[test]
fn the_user_token_says_that_the_secret_is_an_identity_token() {
    let place = Place::new();
    place.helper("token", r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}'"#);
    let file = place.write("config.json", r#"{"credsStore":"token"}"#);
    assert_eq!(short(place.keyring(&[file]).find("quay.io", "a").unwrap().as_ref()), "identity t");
}

#[test]
fn a_helper_that_fails_is_named_and_what_it_says_is_shown_but_no_secret() {
    for (script, class, complaint) in [
        ("echo 'no  daemon'; echo more >&2; exit 3", Class::Refused, "exit status: 3 and said: no daemon more"),
        ("exit 1", Class::Refused, "exit status: 1 and said nothing"),
        ("kill -9 $$", Class::Refused, "signal: 9"),
        ("printf '\\033[2Jx'; exit 1", Class::Refused, "said: \\u{1b}[2Jx"),
        ("yes | head -c 5000; exit 1", Class::Refused, "y y y ..."),
        ("head -c 2000000 /dev/zero", Class::Refused, "it said more than 1048576 bytes"),
        ("echo '{\"Username\":\"u\",\"Secret\":\"hunter2\"}'; exit 1", Class::Refused, "said nothing"),
        ("echo '{\"Username\":\"u\",\"Secret\":\"hunter2\"'", Class::Content, "its answer is not"),
        ("echo '{\"Username\":\"u\",\"Secret\":7427}'", Class::Content, "its answer is not"),
        ("echo hunter2", Class::Content, "its answer is not"),
        ("true", Class::Content, "its answer is not"),
    ] {
        let place = Place::new();
        place.helper("bad", script);
        let file = place.write("config.json", r#"{"credsStore":"bad"}"#);
        let error = place.keyring(&[file]).find("quay.io", "a").unwrap_err();
        let told = told(&error);
        assert!(told.contains(complaint), "{script}: {told}");
        assert!(told.starts_with("cannot get credentials from docker-credential-bad for docker://quay.io"), "{told}");
        assert!(!told.contains("hunter") && !told.contains("7427") && told.len() < 1000, "{told}");
        assert_eq!(error.class(), class, "{told}");
        assert!(error.hint().unwrap().contains("config.json names this program"), "{told}");
    }
}

#[test]
fn a_helper_is_looked_for_by_a_plain_name_in_absolute_directories_only() {
    let place = Place::new();
    place.helper("good", NOTHING);
    fs::create_dir(place.path("bin/docker-credential-directory")).unwrap();
    fs::write(place.path("bin/docker-credential-text"), "#!/bin/sh\n").unwrap();
    let find = |name: &str, path: Option<&str>| {
        let file = place.write("config.json", &format!(r#"{{"credsStore":"{name}"}}"#));
        let keyring = Keyring { helper_path: path.map(Into::into), ..place.keyring(&[file]) };
        keyring.find("quay.io", "a").map_err(|error| (error.class(), told(&error)))
    };
    let bin = place.path("bin");
    let bin = bin.to_str().unwrap();
    assert_eq!(find("good", Some(&format!("/nonexistent:{bin}"))), Ok(None));
    for (name, path) in [
        ("absent", Some(bin)),
        ("directory", Some(bin)),
        ("text", Some(bin)),
        ("good", Some("")),
        ("good", Some("::.:bin:/nonexistent")),
        ("good", None),
    ] {
        let (class, told) = find(name, path).unwrap_err();
        assert_eq!(class, Class::Absent, "{told}");
        assert!(told.contains("no such program in $PATH"), "{told}");
    }
    for name in ["../good", "a/b", "a b", "a;b", "\\u001b"] {
        let (class, told) = find(name, Some(bin)).unwrap_err();
        assert_eq!(class, Class::Content, "{told}");
        assert!(told.contains("no name for one") && !told.contains('\u{1b}'), "{told}");
    }
}

#[test]
fn a_login_through_a_helper_leaves_no_password_in_the_file() {
    for (text, registry, server) in [
        (r#"{"credsStore":"keep"}"#, "quay.io", "quay.io"),
        (r#"{"credsStore":"keep"}"#, "docker.io", "https://index.docker.io/v1/"),
        (r#"{"credHelpers":{"quay.io":"keep"}}"#, "quay.io", "quay.io"),
        (r#"{"credsStore":"keep","auths":{"quay.io":{"auth":"b2xkOnA="}}}"#, "quay.io", "quay.io"),
        (r#"{"credsStore":"keep","auths":{"https://quay.io":{"auth":"b2xkOnA="}}}"#, "quay.io", "quay.io"),
    ] {
        let place = Place::new();
        place.keeping_helper("keep");
        let file = place.write("config.json", text);
        let keyring = place.keyring(std::slice::from_ref(&file));
        let kept = keyring.store(registry, &password("u", "p\"w"), &file).unwrap();
        let helper = Keeper::Helper { program: "docker-credential-keep".to_owned(), file: file.path.clone() };
        assert_eq!(kept, helper, "{text}");
        let value: serde_json::Value = serde_json::from_str(&place.read("config.json")).unwrap();
        assert_eq!(value["auths"], serde_json::json!({ server: {} }), "{text}");
        let input = place.read(&format!("kept/{}", server.replace('/', "_")));
        assert_eq!(input, format!(r#"{{"ServerURL":"{server}","Username":"u","Secret":"p\"w"}}"#));
        let found = keyring.find(registry, "a").unwrap().unwrap();
        assert_eq!((short(Some(&found)).as_str(), &found.keeper), ("u p\"w", &helper));

        assert_eq!(keyring.erase(registry, &file).unwrap(), [helper], "{text}");
        assert_eq!(keyring.find(registry, "a").unwrap(), None);
        let value: serde_json::Value = serde_json::from_str(&place.read("config.json")).unwrap();
        assert_eq!(value["auths"], serde_json::json!({}));
        assert_eq!(keyring.erase(registry, &file).unwrap(), []);
    }
}

#[test]
fn a_file_that_already_says_that_a_helper_knows_is_not_touched() {
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::new();
    place.keeping_helper("keep");
    let file = place.write("config.json", r#"{"auths": {"quay.io": {}},   "credsStore": "keep"}"#);
    let before = (place.read("config.json"), fs::metadata(&file.path).unwrap().ino());
    place.keyring(&[]).store("quay.io", &password("u", "p"), &file).unwrap();
    assert_eq!((place.read("config.json"), fs::metadata(&file.path).unwrap().ino()), before);
}

#[test]
fn a_helper_that_does_not_keep_it_leaves_the_file_as_it_was() {
    let place = Place::new();
    // it tells everybody what it was given
    place.helper("leak", "cat; cat >&2 <<'X'\nhun\"ter2\nX\nexit 1");
    let text = r#"{"auths":{"quay.io":{"auth":"b2xkOnA="}},"credsStore":"leak"}"#;
    let file = place.write("config.json", text);
    let error = place.keyring(&[]).store("quay.io", &password("u", "hun\"ter2"), &file).unwrap_err();
    let told = told(&error);
    assert!(told.starts_with("cannot give credentials to docker-credential-leak for docker://quay.io"), "{told}");
    assert!(!told.contains("hun") && !told.contains("ter2"), "{told}");
    assert_eq!(place.read("config.json"), text);
}

#[test]
fn tokens_of_dockers_web_login_go_with_a_logout() {
    let place = Place::new();
    place.keeping_helper("keep");
    let hub = "https://index.docker.io/v1/";
    let text = format!(r#"{{"auths":{{"{hub}":{{}},"{hub}access-token":{{}},"quay.io":{{}}}},"credsStore":"keep"}}"#);
    let file = place.write("config.json", &text);
    place.keyring(&[]).store("docker.io", &password("u", "p"), &file).unwrap();
    place.keyring(&[]).erase("docker.io", &file).unwrap();
    assert_eq!(place.read("kept/log"), format!("store {hub}\nerase {hub}\nerase {hub}access-token\n"));
    let value: serde_json::Value = serde_json::from_str(&place.read("config.json")).unwrap();
    assert_eq!(value["auths"], serde_json::json!({ "quay.io": {} }));
}
