//! Under which keys the credentials of a registry stand: one registry is spelled in many ways.
//!
//! - `HOST[:PORT]`, and below it `HOST[:PORT]/NAMESPACE...` (containers-auth.json(5), "FORMAT").
//! - What docker wrote before it had hosts: `https://HOST/v1/`, `HOST/v2/`.
//! - Docker Hub is `docker.io` to everybody, and `https://index.docker.io/v1/` in docker's own files; beside that key, docker
//!   keeps tokens of its web login, `https://index.docker.io/v1/access-token`, which are no passwords.

use super::Form;

/// The key of Docker Hub in docker's own files: the only one that docker looks for.
const HUB_URL: &str = "https://index.docker.io/v1/";
/// The name of Docker Hub everywhere else.
const HUB: &str = "docker.io";

/// Returns whether a host is Docker Hub.
fn is_hub(host: &str) -> bool {
    [HUB, "index.docker.io", "registry-1.docker.io"].iter().any(|name| host.eq_ignore_ascii_case(name))
}

/// Returns whether two hosts, as they are written, are one registry.
fn is_same_host(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || is_hub(one) && is_hub(other)
}

/// A registry, or a namespace or a repository in it: what credentials are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) host: &'a str,
    /// Empty for the whole registry.
    pub(super) namespace: &'a str,
}

impl<'a> Key<'a> {
    /// Reads what a user calls a registry: `HOST[:PORT][/NAMESPACE...]`, or a URL, of which only the host counts. `None`
    /// when it is neither.
    pub(super) fn typed(text: &'a str) -> Option<Self> {
        let (rest, is_url) = without_scheme(text);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let namespace = if is_url { "" } else { path.trim_end_matches('/') };
        let plain = |text: &str, others: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte) || others.contains(char::from(byte)))
        };
        let named = !host.is_empty() && plain(host, ":[]") && plain(namespace, "/") && !namespace.starts_with('/');
        named.then_some(Self { host, namespace })
    }

    /// Returns how a file of this form spells it, the spelling that counts most first: what programs look for.
    pub(super) fn spellings(&self, form: Form) -> Vec<String> {
        if !self.namespace.is_empty() {
            let host = if is_hub(self.host) { HUB } else { self.host };
            return vec![format!("{host}/{}", self.namespace)];
        }
        match (is_hub(self.host), form) {
            (false, _) => vec![self.host.to_owned()],
            (true, Form::Containers) => vec![HUB.to_owned(), HUB_URL.to_owned()],
            (true, Form::Docker | Form::Legacy) => vec![HUB_URL.to_owned(), HUB.to_owned()],
        }
    }
}

/// What a key in a file covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach<'a> {
    /// Every repository of the registry.
    Registry,
    /// Every repository of the registry too, if nothing else does: a URL with a path that says nothing.
    Page,
    /// What stands below a namespace, or is that repository.
    Namespace(&'a str),
}

/// A key as it stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spelled<'a> {
    host: &'a str,
    reach: Reach<'a>,
}

impl<'a> Spelled<'a> {
    pub(super) fn read(text: &'a str, form: Form) -> Self {
        let (rest, is_url) = without_scheme(text);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let inner = path.trim_matches('/');
        let is_version = matches!(inner, "v1" | "v2") && (is_url || path.ends_with('/'));
        let reach = if inner.is_empty() || is_version {
            Reach::Registry
        } else if is_url || form == Form::Legacy {
            Reach::Page
        } else {
            Reach::Namespace(inner)
        };
        Self { host, reach }
    }

    /// Returns whether it stands for the same as a key.
    pub(super) fn is(&self, key: Key<'_>) -> bool {
        let namespace = match self.reach {
            Reach::Registry => "",
            Reach::Page if !is_hub(self.host) => "",
            Reach::Page => return false,
            Reach::Namespace(namespace) => namespace,
        };
        is_same_host(self.host, key.host) && namespace == key.namespace
    }

    /// Returns whether a logout from a key takes it along: docker's own tokens for Docker Hub too.
    pub(super) fn goes_with(&self, key: Key<'_>) -> bool {
        self.is(key) || self.reach == Reach::Page && key.namespace.is_empty() && is_same_host(self.host, key.host)
    }

    /// Returns how closely it covers a repository: greater is closer, `None` is not at all.
    pub(super) fn covers(&self, host: &str, repository: &str) -> Option<usize> {
        if !is_same_host(self.host, host) {
            return None;
        }
        match self.reach {
            Reach::Registry => Some(1),
            Reach::Page => (!is_hub(host)).then_some(0),
            Reach::Namespace(namespace) => {
                let rest = repository.strip_prefix(namespace)?;
                (rest.is_empty() || rest.starts_with('/')).then_some(1 + namespace.len())
            }
        }
    }
}

fn without_scheme(text: &str) -> (&str, bool) {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    (rest.unwrap_or(text), rest.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_covers_what_it_names_and_nothing_beside_it() {
        for (key, host, repository, closeness) in [
            ("quay.io", "quay.io", "a/b", Some(1)),
            ("QUAY.io", "quay.io", "a/b", Some(1)),
            ("quay.io/", "quay.io", "a/b", Some(1)),
            ("https://quay.io", "quay.io", "a/b", Some(1)),
            ("http://quay.io/v1/", "quay.io", "a/b", Some(1)),
            ("quay.io/v2/", "quay.io", "a/b", Some(1)),
            ("https://quay.io/some/page", "quay.io", "a/b", Some(0)),
            ("quay.io/a", "quay.io", "a/b", Some(2)),
            ("quay.io/a/b", "quay.io", "a/b", Some(4)),
            ("quay.io/v2", "quay.io", "v2/b", Some(3)),
            ("quay.io/a/", "quay.io", "ab", None),
            ("quay.io/a/b/c", "quay.io", "a/b", None),
            ("quay.io:443", "quay.io", "a/b", None),
            ("quay.io", "quay.io.evil.example", "a/b", None),
            ("quay.io", "evil-quay.io", "a/b", None),
            ("", "quay.io", "a/b", None),
            ("/", "quay.io", "a/b", None),
            ("[::1]:5000", "[::1]:5000", "a", Some(1)),
            ("https://index.docker.io/v1/", "docker.io", "library/app", Some(1)),
            ("index.docker.io", "docker.io", "library/app", Some(1)),
            ("docker.io", "registry-1.docker.io", "library/app", Some(1)),
            ("docker.io/library", "docker.io", "library/app", Some(8)),
            ("https://index.docker.io/v1/access-token", "docker.io", "library/app", None),
        ] {
            let covered = Spelled::read(key, Form::Docker).covers(host, repository);
            assert_eq!(covered, closeness, "{key} for {host}/{repository}");
        }
        assert_eq!(Spelled::read("quay.io/a", Form::Legacy).covers("quay.io", "b"), Some(0));
    }

    #[test]
    fn what_a_user_types_is_a_registry_or_a_part_of_one() {
        for (text, meant) in [
            ("quay.io", Some(("quay.io", ""))),
            ("localhost:5000", Some(("localhost:5000", ""))),
            ("[::1]:5000/a", Some(("[::1]:5000", "a"))),
            ("quay.io/a/b/", Some(("quay.io", "a/b"))),
            ("https://quay.io/v2/", Some(("quay.io", ""))),
            ("", None),
            ("https://", None),
            ("quay.io/a:v1", None),
            ("quay.io//a", None),
            ("user@quay.io", None),
            ("quay.io\n", None),
            ("q uay.io", None),
        ] {
            assert_eq!(Key::typed(text).map(|key| (key.host, key.namespace)), meant, "{text}");
        }
    }

    #[test]
    fn a_logout_takes_the_tokens_along_that_a_login_leaves_alone() {
        let hub = Key { host: "docker.io", namespace: "" };
        for (text, is, goes) in [
            ("https://index.docker.io/v1/", true, true),
            ("docker.io", true, true),
            ("https://index.docker.io/v1/refresh-token", false, true),
            ("docker.io/library", false, false),
            ("quay.io", false, false),
        ] {
            let spelled = Spelled::read(text, Form::Docker);
            assert_eq!((spelled.is(hub), spelled.goes_with(hub)), (is, goes), "{text}");
        }
    }
}
