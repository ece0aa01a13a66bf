//! `WWW-Authenticate` (RFC 9110, section 11.6.1): which of its challenges is answered.

use ureq::http::HeaderMap;
use ureq::http::header::WWW_AUTHENTICATE;

/// How long all challenges of an answer may be together, in bytes.
const LONGEST: usize = 16 * 1024;

/// A way to authenticate that a registry offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Returns the strongest challenge that we know: a token before a password.
    pub(super) fn strongest(headers: &HeaderMap) -> Option<Self> {
        let mut found = None;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = value.to_str() else { continue };
            for challenge in parse(text.get(..LONGEST).unwrap_or(text)) {
                if found.is_none() || matches!(challenge, Self::Bearer { .. }) {
                    found = Some(challenge);
                }
            }
        }
        found
    }
}

/// Parses a list of challenges. Schemes that are not known are skipped, with their parameters.
fn parse(text: &str) -> Vec<Challenge> {
    let mut schemes: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        if let Some(value) = after.strip_prefix('=').filter(|_| !word.is_empty()) {
            // a part of an address is another address: what was cut off has no realm
            let Some((value, after)) = parse_value(value.trim_start_matches([' ', '\t'])) else { break };
            if let Some((_, parameters)) = schemes.last_mut() {
                parameters.push((word.to_ascii_lowercase(), value));
            }
            rest = after;
        } else {
            if !word.is_empty() {
                schemes.push((word.to_ascii_lowercase(), Vec::new()));
            }
            rest = after.trim_start_matches('=');
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    schemes.into_iter().filter_map(|(scheme, parameters)| known(&scheme, parameters)).collect()
}

fn known(scheme: &str, parameters: Vec<(String, String)>) -> Option<Challenge> {
    let mut parameters = parameters.into_iter();
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => {
            let (mut realm, mut service, mut scope) = (None, None, None);
            for (name, value) in parameters.by_ref() {
                let slot = match name.as_str() {
                    "realm" => &mut realm,
                    "service" => &mut service,
                    "scope" => &mut scope,
                    _ => continue,
                };
                slot.get_or_insert(value);
            }
            let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
            Some(Challenge::Bearer { realm: realm?, service: filled(service), scope: filled(scope) })
        }
        _ => None,
    }
}

/// Parses a token or a quoted string, and returns what follows. `None` for a string without an end.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let (service, scope) = (service.map(str::to_owned), scope.map(str::to_owned));
        Challenge::Bearer { realm: realm.to_owned(), service, scope }
    }

    #[test]
    fn challenges_as_registries_write_them() {
        for (text, expected) in [
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                )],
            ),
            (
                r#"Bearer realm = "https://x/t" , service = s, error="invalid_token""#,
                vec![bearer("https://x/t", Some("s"), None)],
            ),
            (r#"Bearer service="no realm""#, vec![]),
            (
                r#"Negotiate abc==, Basic realm="x, y", Bearer realm="r""#,
                vec![Challenge::Basic, bearer("r", None, None)],
            ),
            (r#"Bearer realm="a\"b""#, vec![bearer("a\"b", None, None)]),
            (r#"Digest qop="auth""#, vec![]),
            (r#"Bearer realm="https://auth.exa"#, vec![]),
            (r#"Basic realm="x", Bearer realm="https://auth.exa"#, vec![Challenge::Basic]),
            ("", vec![]),
            ("=,=,\"", vec![]),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_breaks_the_parser(text in "\\PC*|[Bbearsic \"\\\\=,]{0,60}") {
            let _ = parse(&text);
        }
    }
}
