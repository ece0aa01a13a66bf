//! Names of images: docker's grammar, and what it leaves out filled in.

use std::fmt;
use std::str::FromStr;

use super::{ReferenceError, is_tag};
use crate::digest::Digest;

const DEFAULT_REGISTRY: &str = "docker.io";
const LONGEST_REPOSITORY: usize = 255;

/// A name as docker has it (distribution/reference v0.6), with registry and repository filled in: `app:v1` is
/// `docker.io/library/app:v1`.
///
/// It is valid by construction: nothing else reaches a URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageName {
    /// Parses `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`.
    ///
    /// What stands before the first slash is a registry when it is `localhost`, or holds a dot, a colon or an upper-case
    /// letter; else the registry is `docker.io`, where a repository of one part belongs to `library/`. No tag is filled
    /// in: see [`ImageName::with_default_tag`].
    ///
    /// # Errors
    ///
    /// When it is not of that form, and for 64 hex digits alone, which docker takes for an image's ID.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |reason, hint| ReferenceError::Name { text: text.to_owned(), reason, hint };
        if is_identifier(text) {
            let hint = format!("for a digest write @sha256:{text}, for a repository write {DEFAULT_REGISTRY}/{text}");
            return Err(refuse("64 hex digits alone are an ID, not a name", Some(hint)));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse();
                let digest = digest.map_err(|source| ReferenceError::NameDigest { text: text.to_owned(), source })?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let (registry, rest) = match name.split_once('/') {
            Some(("index.docker.io", rest)) => (DEFAULT_REGISTRY, rest),
            Some((first, rest)) if names_a_registry(first) => (first, rest),
            _ => (DEFAULT_REGISTRY, name),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !is_registry(registry) {
            return Err(refuse("what stands before the first \"/\" is not a registry's host[:port]", None));
        }
        if path.is_empty() {
            return Err(refuse("it has no repository", None));
        }
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let (before, after) = (&text[..name.len() - rest.len()], &text[name.len() - rest.len() + path.len()..]);
            let lower = format!("{before}{}{after}", path.to_ascii_lowercase());
            let lower = Self::parse(&lower).is_ok().then(|| format!("write {lower}"));
            return Err(refuse("a repository has no upper-case letters", lower));
        }
        let library = registry == DEFAULT_REGISTRY && !path.contains('/');
        let repository = if library { format!("library/{path}") } else { path.to_owned() };
        if !repository.split('/').all(is_component) {
            return Err(refuse(
                "each part of a repository is lower-case letters and digits, joined by \".\", \"_\", \"__\" or dashes",
                None,
            ));
        }
        if repository.len() > LONGEST_REPOSITORY {
            return Err(refuse("a repository has at most 255 characters", None));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refuse(
                "a tag is at most 128 letters, digits, \"_\", \".\" and \"-\", and begins with none of the last two",
                None,
            ));
        }
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }

    /// Returns the host and port of the registry, as they were written.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the path of the repository in its registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns registry and repository, as they stand before a tag: `docker.io/library/app`.
    #[must_use]
    pub fn full_repository(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the tag, if there is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, if there is one.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns this name with the tag `latest` if it has neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// Returns the shortest form that means the same: `app:v1` for `docker.io/library/app:v1`.
    ///
    /// Unlike docker's, it can always be read back: `docker.io/localhost/app` stays as it is, because `localhost/app` is
    /// in another registry.
    #[must_use]
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let short = full.strip_prefix("docker.io/").unwrap_or(&full);
        let shorter = short.strip_prefix("library/").unwrap_or(short);
        [shorter, short]
            .into_iter()
            .find(|it| Self::parse(it).as_ref() == Ok(self))
            .map_or_else(|| full.clone(), str::to_owned)
    }
}

/// Prints the full form, `REGISTRY/REPOSITORY[:TAG][@DIGEST]`.
impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl FromStr for ImageName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

fn is_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What docker takes for a registry rather than the first part of a repository, right or wrong.
fn names_a_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Returns whether text is `HOST[:PORT]`: a domain name, an IPv4 address, or an IPv6 address in brackets without a zone.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }),
    }
}

/// Returns whether text is one part of a repository: `[a-z0-9]+` joined by one of `.`, `_`, `__` and any number of `-`.
/// Returns whether a text is the path of a repository (distribution-spec v1.1.1, spec.md, "Pulling manifests", `<name>`).
#[must_use]
pub(crate) fn is_repository(text: &str) -> bool {
    text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && (bytes.split(plain))
            .all(|joint| matches!(joint, b"" | b"." | b"_" | b"__") || joint.iter().all(|byte| *byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a";

    #[test]
    fn a_name_has_a_full_and_a_short_form() {
        let digest = format!("sha256:{HEX}");
        for (text, full, short) in [
            ("app", "docker.io/library/app", "app"),
            ("app:v1", "docker.io/library/app:v1", "app:v1"),
            ("lowercase:Uppercase", "docker.io/library/lowercase:Uppercase", "lowercase:Uppercase"),
            ("org/app", "docker.io/org/app", "org/app"),
            ("docker.io/app", "docker.io/library/app", "app"),
            ("index.docker.io/app", "docker.io/library/app", "app"),
            ("index.docker.io/org/app:v1", "docker.io/org/app:v1", "org/app:v1"),
            ("docker.io/library/app", "docker.io/library/app", "app"),
            ("library/foo/bar", "docker.io/library/foo/bar", "library/foo/bar"),
            ("docker.io/localhost/app", "docker.io/localhost/app", "docker.io/localhost/app"),
            ("docker.io/foo.com/app", "docker.io/foo.com/app", "docker.io/foo.com/app"),
            ("docker.io/library/foo.com/app", "docker.io/library/foo.com/app", "library/foo.com/app"),
            ("ghcr.io/org/app:v1", "ghcr.io/org/app:v1", "ghcr.io/org/app:v1"),
            ("localhost/app", "localhost/app", "localhost/app"),
            ("LOCALDOMAIN/app", "LOCALDOMAIN/app", "LOCALDOMAIN/app"),
            ("Foo/bar", "Foo/bar", "Foo/bar"),
            ("test:5000/app", "test:5000/app", "test:5000/app"),
            ("test:5000/app:5050", "test:5000/app:5050", "test:5000/app:5050"),
            ("192.168.1.1", "docker.io/library/192.168.1.1", "192.168.1.1"),
            ("192.168.1.1:5000", "docker.io/library/192.168.1.1:5000", "192.168.1.1:5000"),
            ("foo/foo_bar.com:8080", "docker.io/foo/foo_bar.com:8080", "foo/foo_bar.com:8080"),
            ("[2001:db8::1]/app", "[2001:db8::1]/app", "[2001:db8::1]/app"),
            ("[::1]:5000/app:tag", "[::1]:5000/app:tag", "[::1]:5000/app:tag"),
            ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com"),
            ("docker---rules/dock__er", "docker.io/docker---rules/dock__er", "docker---rules/dock__er"),
            (&format!("docker.io/{HEX}"), &format!("docker.io/library/{HEX}"), &format!("library/{HEX}")),
            (&format!("{HEX}:v1"), &format!("docker.io/library/{HEX}:v1"), &format!("{HEX}:v1")),
            (&format!("app@{digest}"), &format!("docker.io/library/app@{digest}"), &format!("app@{digest}")),
            (&format!("app:v1@{digest}"), &format!("docker.io/library/app:v1@{digest}"), &format!("app:v1@{digest}")),
        ] {
            let name = ImageName::parse(text).unwrap();
            assert_eq!(name.to_string(), full, "{text}");
            assert_eq!(name.familiar(), short, "{text}");
            assert_eq!(ImageName::parse(full).unwrap(), name, "{text}");
            assert_eq!(short.parse::<ImageName>().unwrap(), name, "{text}");
        }
        let name = ImageName::parse(&format!("test:5000/org/app:v1@{digest}")).unwrap();
        assert_eq!((name.registry(), name.repository(), name.tag()), ("test:5000", "org/app", Some("v1")));
        assert_eq!(name.digest(), Some(&digest.parse().unwrap()));
    }

    #[test]
    fn latest_is_filled_in_only_when_nothing_is_said() {
        let digest = format!("sha256:{HEX}");
        for (text, tag) in [("app", Some("latest")), ("app:v1", Some("v1")), (&format!("app@{digest}"), None)] {
            assert_eq!(ImageName::parse(text).unwrap().with_default_tag().tag(), tag, "{text}");
        }
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        for text in [
            "",
            ":justtag",
            "/",
            "app/",
            "/app",
            "app:",
            "app:v1:v2",
            "app:-v1",
            "app: v1",
            "app v1",
            "Uppercase:tag",
            "docker/Docker",
            "test:5000/Uppercase/lowercase:tag",
            "-docker",
            "-docker/docker",
            "docker-/docker",
            "-docker.io/docker/docker",
            "docker///docker",
            "docker.io/docker///docker",
            "docker.io//docker",
            "____/____",
            "_docker/_docker",
            "dock..er/docker",
            "dock_.er/docker",
            "dock-.er/docker",
            "dock___er/docker",
            "aa/asdf$$^/aa",
            "https://github.com/docker/docker",
            "[fc00::1]",
            "[fc00::1]:5000",
            "[]/app",
            "[::1]:/app",
            "[::1]5000/app",
            "fc00::1:5000/debian",
            "[fe80::1%eth0]:5000/debian",
            "[2001:db8:3:4::192.0.2.33]:5000/debian",
            "host:port/app",
            "host:/app",
            "a..b/app",
            "ghcr.io/../etc/passwd",
            "ghcr.io/org/app\n:v1",
            "ghcr.io/org/app:v1\r\nHost: evil",
            "användare/app",
            HEX,
        ] {
            let error = ImageName::parse(text).unwrap_err();
            assert!(matches!(error, ReferenceError::Name { .. }), "{text:?}: {error}");
        }
        for digest in ["", "sha256", "sha256:ab", "sha256:AB", "md5:d41d8cd98f00b204e9800998ecf8427e", "x@sha256:00"] {
            let error = ImageName::parse(&format!("app@{digest}")).unwrap_err();
            assert!(matches!(error, ReferenceError::NameDigest { .. }), "{digest:?}: {error}");
        }
    }

    #[test]
    fn a_repository_has_at_most_255_characters() {
        assert!(ImageName::parse(&format!("ghcr.io/{}:v1", "a".repeat(255))).is_ok());
        assert!(ImageName::parse(&format!("ghcr.io/{}:v1", "a".repeat(256))).is_err());
        assert!(ImageName::parse(&"a".repeat(247)).is_ok()); // with library/ it is 255
        assert!(ImageName::parse(&"a".repeat(248)).is_err());
        assert!(ImageName::parse(&format!("app:{}", "a".repeat(129))).is_err());
    }

    #[test]
    fn upper_case_is_answered_with_lower_case() {
        for (text, hint) in [
            ("Uppercase:Tag", "write uppercase:Tag"),
            ("ghcr.io/Org/App:V1", "write ghcr.io/org/app:V1"),
            ("A.A/A:A", "write A.A/a:A"),
            ("AA/A", "write AA/a"),
        ] {
            assert_eq!(ImageName::parse(text).unwrap_err().hint().as_deref(), Some(hint), "{text}");
        }
        assert_eq!(ImageName::parse("App$").unwrap_err().hint(), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "\\PC*|[a-zA-Z0-9.:/@_\\[\\]-]{0,60}") {
            if let Ok(name) = ImageName::parse(&text) {
                prop_assert_eq!(&ImageName::parse(&name.to_string()).unwrap(), &name);
                prop_assert_eq!(&ImageName::parse(&name.familiar()).unwrap(), &name);
                prop_assert!(name.to_string().is_ascii());
            }
        }

        #[test]
        fn what_the_grammar_makes_is_taken(
            registry in "(localhost|[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?\\.[a-z]{2,3}|\\[::[0-9a-f]{1,4}\\])(:[0-9]{1,5})?",
            repository in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}(/[a-z0-9]{1,5}(\\.[a-z0-9]{1,3})?){0,3}",
            tag in "(:[A-Za-z0-9_][A-Za-z0-9._-]{0,9})?",
            digest in "(@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})?",
        ) {
            let text = format!("{registry}/{repository}{tag}{digest}");
            let name = ImageName::parse(&text).unwrap();
            prop_assert_eq!((name.registry(), name.repository()), (&registry[..], &repository[..]));
            prop_assert_eq!(name.to_string(), text);
        }
    }
}
