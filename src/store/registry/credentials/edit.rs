//! Editing a file with credentials: one entry changes, all else stays as it was.
//!
//! Every value keeps its very text, and every field its place. Only the white space between them becomes that of docker and
//! podman, one value a line, with the indentation that the file has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use serde_json::value::RawValue;

use super::document::Document;
use super::key::Key;
use super::{AuthFile, Credential, Form, unusable};
use crate::json::{JsonError, Object};
use crate::store::StoreError;

/// The indentation of files that have none of their own: docker's and podman's.
const TAB: &str = "\t";

/// What becomes of the entry of a registry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    /// It tells this.
    Keep(&'a Credential),
    /// It only says that a helper knows it under this name.
    Mark(&'a str),
    /// It goes.
    Forget,
}

/// Returns the text of a file after a change; `None` when nothing is to change.
pub(super) fn edited(
    file: &AuthFile,
    text: &[u8],
    key: Key<'_>,
    change: Change<'_>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let document = Document::parse(file, text)?;
    let forget = matches!(change, Change::Forget);
    let there = document.keys(|spelled| if forget { spelled.goes_with(key) } else { spelled.is(key) })?;
    let name = match change {
        Change::Keep(_) => Some(written(key, file.form, &there)),
        Change::Mark(server) if there == [server] && document.is_marked(server)? => return Ok(None),
        Change::Mark(server) => Some(server.to_owned()),
        Change::Forget if there.is_empty() => return Ok(None),
        Change::Forget => None,
    };
    let telling = name.as_ref().map_or(Ok(Vec::new()), |name| document.telling(name))?;
    let edit = || -> Result<String, JsonError> {
        let mut top = if text.trim_ascii().is_empty() { Object::from_value(&json!({}))? } else { Object::parse(text)? };
        let auths_name = document.spelled("auths");
        let mut auths = top.object(auths_name).map_or_else(|| Object::from_value(&json!({})), Ok)?;
        if let Some(name) = &name {
            let mut entry = auths.object(name).map_or_else(|| Object::from_value(&json!({})), Ok)?;
            telling.iter().for_each(|field| entry.remove(field));
            if let Change::Keep(credential) = change {
                told(credential, &mut entry)?;
            }
            auths.set(name, entry.to_raw());
        }
        // other spellings of the same would be found instead
        let others = there.iter().filter(|other| name.as_deref() != Some(**other));
        others.for_each(|other| auths.remove(other));
        top.set(auths_name, auths.to_raw());
        Ok(laid_out(top.to_raw().get(), indentation(text)))
    };
    let mut edited = edit().map_err(|error| unusable(&file.path, error))?;
    if text.trim_ascii_end() != text {
        edited.push('\n');
    }
    Ok(Some(edited.into_bytes()))
}

/// Returns the key that a credential is written under. Docker knows only one spelling; podman knows them all, so there
/// the one that the file has stays.
fn written(key: Key<'_>, form: Form, there: &[&str]) -> String {
    let mut spellings = key.spellings(form);
    let known = spellings.iter().position(|spelling| form == Form::Containers && there.contains(&spelling.as_str()));
    spellings.swap_remove(known.unwrap_or(0))
}

/// Writes a credential into an entry, so that docker and podman both understand it.
fn told(credential: &Credential, entry: &mut Object) -> Result<(), JsonError> {
    let mut set = |name: &str, text: &str| -> Result<(), JsonError> {
        let raw = RawValue::from_string(json!(text).to_string());
        entry.set(name, raw.map_err(|error| JsonError::Syntax(error.to_string()))?);
        Ok(())
    };
    match credential {
        Credential::Password { username, password } => {
            set("auth", &STANDARD.encode(format!("{username}:{}", password.expose())))
        }
        Credential::IdentityToken(token) => {
            // podman passes over an entry whose `auth` names no user
            set("auth", &STANDARD.encode("<token>:"))?;
            set("identitytoken", token.expose())
        }
        Credential::RegistryToken(token) => set("registrytoken", token.expose()),
    }
}

/// Returns what the first indented line of a file begins with.
fn indentation(text: &[u8]) -> &str {
    let lines = std::str::from_utf8(text).unwrap_or_default().lines();
    let mut white = lines.map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]);
    white.find(|white| !white.is_empty()).unwrap_or(TAB)
}

/// Lays valid JSON out, one value a line. The text of every value stays: `1.0` and `"\u0041"` are what they were.
fn laid_out(json: &str, unit: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth: usize = 0;
    let mut in_string = false;
    let mut is_escaped = false;
    let mut has_begun = false; // an object or a list, and nothing of it was seen yet
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        (0..depth).for_each(|_| text.push_str(unit));
    };
    for character in json.chars() {
        if in_string {
            text.push(character);
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            continue;
        }
        if character.is_ascii_whitespace() {
            continue;
        }
        let ends = matches!(character, '}' | ']');
        depth = depth.saturating_sub(usize::from(ends));
        if has_begun != ends {
            line(&mut text, depth);
        }
        text.push(character);
        has_begun = matches!(character, '{' | '[');
        depth += usize::from(has_begun);
        match character {
            ',' => line(&mut text, depth),
            ':' => text.push(' '),
            '"' => in_string = true,
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Secret;
    use super::*;

    fn change(name: &str, text: &str, registry: &str, change: Change<'_>) -> Option<String> {
        let key = Key::typed(registry).unwrap();
        let edited = edited(&AuthFile::named(Path::new(name)), text.as_bytes(), key, change).unwrap();
        edited.map(|text| String::from_utf8(text).unwrap())
    }

    fn password() -> Credential {
        Credential::Password { username: "u".to_owned(), password: Secret::new("p:w") }
    }

    #[test]
    fn an_edit_leaves_everything_else() {
        let text = r#"{
  "HttpHeaders": {"X": "a\u0041,{}[]:\"\\"},
  "auths": {
    "other.example": {"auth": "eDp5", "odd": 1.0, "list": [], "more": {}},
    "https://quay.io/v1/": {"auth": "b2xkOm9sZA==", "email": "a@b"},
    "quay.io/ns": {"auth": "bnM6bnM="}
  },
  "psFormat": "x",
  "big": 123456789012345678901234567890
}
"#;
        let stored = change("config.json", text, "quay.io", Change::Keep(&password())).unwrap();
        let expected = r#"{
  "HttpHeaders": {
    "X": "a\u0041,{}[]:\"\\"
  },
  "auths": {
    "other.example": {
      "auth": "eDp5",
      "odd": 1.0,
      "list": [],
      "more": {}
    },
    "quay.io/ns": {
      "auth": "bnM6bnM="
    },
    "quay.io": {
      "auth": "dTpwOnc="
    }
  },
  "psFormat": "x",
  "big": 123456789012345678901234567890
}
"#;
        assert_eq!(stored, expected);
        // back to what it was without the registry, and nothing more to do
        let erased = change("config.json", &stored, "quay.io", Change::Forget).unwrap();
        assert!(!erased.contains("dTpwOnc") && erased.contains("bnM6bnM=") && erased.contains("eDp5"), "{erased}");
        assert_eq!(change("config.json", &erased, "quay.io", Change::Forget), None);
    }

    #[test]
    fn an_entry_keeps_its_place_and_what_tells_nothing() {
        let text = r#"{"auths":{"a.example":{"email":"e","identitytoken":"old","Username":"x"},"b.example":{}}}"#;
        let stored = change("auth.json", text, "a.example", Change::Keep(&password())).unwrap();
        let expected = r#"{"auths":{"a.example":{"email":"e","auth":"dTpwOnc="},"b.example":{}}}"#;
        assert_eq!(dense(&stored), expected);
        assert!(stored.starts_with("{\n\t\"auths\": {\n\t\t\"a.example\": {\n"), "{stored}");
        let marked = change("auth.json", text, "a.example", Change::Mark("a.example")).unwrap();
        assert_eq!(dense(&marked), r#"{"auths":{"a.example":{"email":"e"},"b.example":{}}}"#);
        assert_eq!(change("auth.json", &marked, "a.example", Change::Mark("a.example")), None);
    }

    fn dense(text: &str) -> String {
        text.chars().filter(|character| !character.is_whitespace()).collect()
    }

    #[test]
    fn docker_hub_has_the_key_that_the_reader_of_the_file_looks_for() {
        let url = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOnc="}}}"#;
        let name = r#"{"auths":{"docker.io":{"auth":"dTpwOnc="}}}"#;
        for (file, text, expected) in [
            ("config.json", "", url),
            ("config.json", r#"{"auths":{"docker.io":{"auth":"eDp5"}}}"#, url),
            ("auth.json", "{}", name),
            ("auth.json", r#"{"auths":null}"#, name),
            ("auth.json", r#"{"auths":{"https://index.docker.io/v1/":{"auth":"eDp5"}}}"#, url),
            ("auth.json", r#"{"auths":{"index.docker.io":{"auth":"eDp5"}}}"#, name),
            // a key that differs only in case is the same to Go
            (
                "auth.json",
                r#"{"Auths":{"docker.io":{"Auth":"eDp5"}}}"#,
                r#"{"Auths":{"docker.io":{"auth":"dTpwOnc="}}}"#,
            ),
        ] {
            let stored = change(file, text, "docker.io", Change::Keep(&password())).unwrap();
            assert_eq!(dense(&stored), expected, "{file} {text}");
        }
        let tokens = r#"{"auths":{"https://index.docker.io/v1/":{},"https://index.docker.io/v1/access-token":{}}}"#;
        let erased = change("config.json", tokens, "docker.io", Change::Forget).unwrap();
        assert_eq!(dense(&erased), r#"{"auths":{}}"#);
    }

    #[test]
    fn tokens_are_written_so_that_others_understand_them() {
        let token = Secret::new("t\"k");
        let stored = change("auth.json", "{}", "a.example", Change::Keep(&Credential::IdentityToken(token.clone())));
        let expected = r#"{"auths":{"a.example":{"auth":"PHRva2VuPjo=","identitytoken":"t\"k"}}}"#;
        assert_eq!(dense(&stored.unwrap()), expected);
        let stored = change("auth.json", "{}", "a.example", Change::Keep(&Credential::RegistryToken(token)));
        assert_eq!(dense(&stored.unwrap()), r#"{"auths":{"a.example":{"registrytoken":"t\"k"}}}"#);
    }
}
