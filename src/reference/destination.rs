//! Words in a slot that can mean nothing but a registry: the destinations of a push, the sources of a pull, a login.

use std::fmt;

use super::{ImageName, ReferenceError};

/// Where a push goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Every image, its own host replaced.
    Prefix(Prefix),
    /// One image, under this very name.
    Name(ImageName),
}

/// `HOST[/PREFIX]`: a registry, and what comes before the repositories there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    host: String,
    path: Option<String>,
}

impl Prefix {
    /// Returns the name of an image below it: its own repository after the prefix.
    ///
    /// # Errors
    /// When that is too long.
    pub fn place(&self, repository: &str, tag: Option<&str>) -> Result<ImageName, ReferenceError> {
        let path = self.path.as_ref().map_or_else(|| repository.to_owned(), |path| format!("{path}/{repository}"));
        self.named(&path, tag)
    }

    /// Returns the name of an image that has a tag and no repository of its own: the prefix is its repository. `None` when
    /// there is no prefix.
    #[must_use]
    pub fn itself(&self, tag: &str) -> Option<ImageName> {
        self.named(self.path.as_ref()?, Some(tag)).ok()
    }

    fn named(&self, path: &str, tag: Option<&str>) -> Result<ImageName, ReferenceError> {
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        ImageName::parse(&format!("{}/{path}{tag}", self.host))
    }

    /// Returns `host[:port]`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.path.as_ref().map_or(Ok(()), |path| write!(f, "/{path}"))
    }
}

/// Returns what stands after `docker://`, or the word itself; other schemes mean no registry.
fn without_scheme(word: &str) -> Result<&str, ReferenceError> {
    if let Some(rest) = word.strip_prefix("docker://") {
        return Ok(rest);
    }
    let refuse =
        |reason, hint: &str| Err(ReferenceError::Word { text: word.to_owned(), reason, hint: Some(hint.to_owned()) });
    if let Some(rest) = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")) {
        let rest = rest.trim_end_matches('/');
        let hint = format!("write {rest}; a registry without TLS that is not on this machine needs --plain-http");
        return refuse("registries are written without http:// or https://", &hint);
    }
    if word.contains("://") {
        return refuse("it is no registry", "write HOST/REPOSITORY:TAG, or docker://HOST/REPOSITORY:TAG");
    }
    if ["oci:", "oci-archive:", "docker-archive:", "dir:"].iter().any(|scheme| word.starts_with(scheme)) {
        return refuse("it is no registry", "use `barge copy` for layouts and archives");
    }
    if word.starts_with(['/', '.', '~', '-']) {
        return refuse("it looks like a path, and a registry is meant", "use `barge copy` for layouts and archives");
    }
    Ok(word)
}

/// Reads the name of an image in a registry, as a pull takes it: a short one is docker's.
///
/// # Errors
/// When it is none.
pub fn parse_remote(word: &str) -> Result<ImageName, ReferenceError> {
    Ok(ImageName::parse(without_scheme(word)?)?.with_default_tag())
}

/// Reads `HOST[:PORT]`, as a login takes it.
///
/// # Errors
/// When it is none.
pub fn parse_host(word: &str) -> Result<String, ReferenceError> {
    let rest = without_scheme(word)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let host = if rest == "index.docker.io" { "docker.io" } else { rest };
    let refuse =
        |hint: String| ReferenceError::Word { text: word.to_owned(), reason: "it is no host[:port]", hint: Some(hint) };
    if let Some((first, _)) = host.split_once('/') {
        return Err(refuse(format!("write the registry alone: {first}")));
    }
    ImageName::parse(&format!("{host}/x/y"))
        .ok()
        .filter(|name| name.registry() == host)
        .map(|name| name.registry().to_owned())
        .ok_or_else(|| refuse("write a registry such as ghcr.io or localhost:5000".to_owned()))
}

/// Reads a destination of a push. With a tag or a digest it is a name, which a short one is on Docker Hub; without, it is a
/// registry, and a prefix.
///
/// # Errors
/// When it is neither, or could be both.
pub fn parse_destination(word: &str) -> Result<Destination, ReferenceError> {
    let rest = without_scheme(word)?;
    if rest.is_empty() {
        let hint = Some("write HOST[/PREFIX], or HOST/REPOSITORY:TAG for one image".to_owned());
        return Err(ReferenceError::Word { text: word.to_owned(), reason: "it is empty", hint });
    }
    let last = rest.rsplit('/').next().unwrap_or_default();
    let refuse = |reason, hint: String| ReferenceError::Word { text: word.to_owned(), reason, hint: Some(hint) };
    if rest.contains('/') && !rest.ends_with('/') && last.contains([':', '@']) || rest.contains('@') {
        return ImageName::parse(rest).map(Destination::Name);
    }
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, Some(path.trim_end_matches('/')).filter(|path| !path.is_empty())),
        None => (rest, None),
    };
    let certain = host.contains('.') || host == "localhost" || host.starts_with("localhost:") || host.starts_with('[');
    let (bare, port) = host.split_once(':').unwrap_or((host, ""));
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !certain && !rest.contains('/') {
        if is_port {
            let hint = format!("write {host}/ for the registry, or docker.io/library/{host} for the image");
            return Err(refuse("it could be a registry with a port or an image with a tag", hint));
        }
        if !port.is_empty() {
            return ImageName::parse(rest).map(Destination::Name);
        }
        let hint = format!("write {bare}/ for a registry, or docker.io/library/{bare}:TAG for an image");
        return Err(refuse("it could be a registry or an image", hint));
    }
    if !certain && !is_port && path.is_some() {
        let hint = format!("write {rest}:TAG for one image, or docker.io/{rest} for a prefix on Docker Hub");
        return Err(refuse("it has neither a registry nor a tag", hint));
    }
    let prefix = Prefix { host: parse_host(host)?, path: path.map(str::to_owned) };
    // the prefix must be one that names can stand below
    if path.is_some() {
        ImageName::parse(&prefix.to_string())?;
    }
    Ok(Destination::Prefix(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_registry_or_a_name_and_never_a_guess() {
        for (word, expected) in [
            ("localhost:5000", Ok("prefix localhost:5000")),
            ("localhost", Ok("prefix localhost")),
            ("127.0.0.1:5000", Ok("prefix 127.0.0.1:5000")),
            ("[::1]:5000", Ok("prefix [::1]:5000")),
            ("quay.io", Ok("prefix quay.io")),
            ("quay.io/team/", Ok("prefix quay.io/team")),
            ("docker://quay.io/team/sub", Ok("prefix quay.io/team/sub")),
            ("registry:5000/", Ok("prefix registry:5000")),
            ("registry:5000/team", Ok("prefix registry:5000/team")),
            ("quay.io/fedora/fedora:40", Ok("name quay.io/fedora/fedora:40")),
            ("localhost:5000/app:v1", Ok("name localhost:5000/app:v1")),
            ("org/app:v2", Ok("name docker.io/org/app:v2")),
            ("app:v2", Ok("name docker.io/library/app:v2")),
            ("fedora:40", Err("could be a registry with a port")),
            ("registry:5000", Err("could be a registry with a port")),
            ("nginx", Err("could be a registry or an image")),
            ("org/app", Err("neither a registry nor a tag")),
            ("oci:dist", Err("no registry")),
            ("./dist", Err("looks like a path")),
            ("https://ghcr.io/x:v1", Err("without http:// or https://")),
            ("ftp://ghcr.io/x:v1", Err("no registry")),
            ("ghcr.io/Org", Err("\"ghcr.io/Org\" as an image name: a repository has no upper-case")),
            ("", Err("empty")),
            ("docker://", Err("empty")),
        ] {
            let got = parse_destination(word).map(|it| match it {
                Destination::Prefix(prefix) => format!("prefix {prefix}"),
                Destination::Name(name) => format!("name {name}"),
            });
            match (got, expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{word}"),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{word}: {error}"),
                (got, expected) => panic!("{word}: {got:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_host_is_a_host() {
        for (word, expected) in [
            ("ghcr.io", Some("ghcr.io")),
            ("localhost:5000", Some("localhost:5000")),
            ("docker.io", Some("docker.io")),
            ("index.docker.io", Some("docker.io")),
            ("docker://quay.io/", Some("quay.io")),
            ("registry:5000", Some("registry:5000")),
            ("ghcr.io/org", None),
            ("https://ghcr.io", None),
            ("nothost", None),
            ("", None),
            ("a b.c", None),
        ] {
            assert_eq!(parse_host(word).ok().as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn an_image_with_a_tag_alone_takes_the_prefix_as_its_repository() {
        let Ok(Destination::Prefix(prefix)) = parse_destination("quay.io/team/app") else { panic!() };
        assert_eq!(prefix.itself("v1").unwrap().to_string(), "quay.io/team/app:v1");
        assert_eq!(prefix.place("library/x", Some("v1")).unwrap().to_string(), "quay.io/team/app/library/x:v1");
        let Ok(Destination::Prefix(prefix)) = parse_destination("quay.io") else { panic!() };
        assert_eq!(prefix.itself("v1"), None);
    }
}
