//! The words of a request: what its path and its query ask for.
//!
//! Nothing of a path becomes the name of a file: a repository is looked up among those that are served, and a digest is
//! parsed into a type first.

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::answer::Code;
use crate::digest::Digest;
use crate::reference::is_tag;
use crate::text::quoted;

/// How long a repository's name may be (distribution's limit).
const LONGEST_NAME: usize = 255;
/// How much of a word is repeated in a message.
const LONGEST_REPEATED: usize = 80;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`: is this a registry?
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/tags/list`
    Tags(String),
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(String, Reference),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(String, Digest),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(String, Digest),
    /// `/v2/NAME/blobs/uploads/...`: there are none, since nothing can be uploaded.
    Upload,
}

/// Which manifest is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// The one of a tag.
    Tag(String),
    /// The one itself.
    Digest(Digest),
}

/// Why a request cannot be understood: the code and a message in which nothing is unsafe.
pub(super) type Refusal = (Code, String);

/// Takes a path apart.
///
/// # Errors
/// [`Code::NameInvalid`], [`Code::DigestInvalid`] and [`Code::ManifestUnknown`] when a word in it is none that can be meant;
/// [`Code::NameUnknown`] when it is no path of this API.
pub(super) fn route(path: &str) -> Result<Route, Refusal> {
    let nothing = || (Code::NameUnknown, format!("{} is nothing that a registry has", short(path)));
    let rest = match path.strip_prefix("/v2") {
        Some("" | "/") => return Ok(Route::Base),
        Some("/_catalog") => return Ok(Route::Catalog),
        Some(rest) => rest.strip_prefix('/').ok_or_else(nothing)?,
        None => return Err(nothing()),
    };
    // decoded one by one, so that what is decoded to a slash is no separator
    let words: Vec<String> = rest
        .split('/')
        .map(|word| percent_decode_str(word).decode_utf8().map(String::from))
        .collect::<Result<_, _>>()
        .map_err(|_| (Code::NameInvalid, "the path is not UTF-8".to_owned()))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [name @ .., "tags", "list"] => Ok(Route::Tags(repository(name)?)),
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", _] => {
            repository(name)?;
            Ok(Route::Upload)
        }
        [name @ .., "manifests", word] => Ok(Route::Manifest(repository(name)?, reference(word)?)),
        [name @ .., "blobs", word] => Ok(Route::Blob(repository(name)?, digest(word)?)),
        [name @ .., "referrers", word] => Ok(Route::Referrers(repository(name)?, digest(word)?)),
        _ => Err(nothing()),
    }
}

/// Returns whether a request of this method only asks.
pub(super) fn only_asks(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// Returns the value of a field of a query, decoded; the first of several.
pub(super) fn field(query: Option<&str>, name: &str) -> Option<String> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key) == name).then(|| decoded(value))
    })
}

/// Joins the name of a repository, and checks it (distribution-spec v1.1.1, "Pulling manifests").
fn repository(words: &[&str]) -> Result<String, Refusal> {
    let name = words.join("/");
    if !is_repository(&name) || words.iter().any(|word| word.contains('/')) {
        return Err((Code::NameInvalid, format!("{} is no name of a repository", short(&name))));
    }
    Ok(name)
}

/// Returns whether text has the form of a repository's name: parts of lower-case letters and digits, joined by one of `.`,
/// `_`, `__` or dashes.
pub(super) fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends = part.bytes().next().is_some_and(word) && part.bytes().next_back().is_some_and(word);
        let joined = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        ends && joined
            .filter(|it| !it.is_empty())
            .all(|it| matches!(it, "." | "_" | "__") || it.bytes().all(|b| b == b'-'))
    };
    name.len() <= LONGEST_NAME && name.split('/').all(is_part)
}

fn reference(word: &str) -> Result<Reference, Refusal> {
    if word.contains(':') {
        return digest(word).map(Reference::Digest);
    }
    if is_tag(word) {
        return Ok(Reference::Tag(word.to_owned()));
    }
    Err((Code::ManifestUnknown, format!("{} is neither a tag nor a digest", short(word))))
}

fn digest(word: &str) -> Result<Digest, Refusal> {
    word.parse().map_err(|_| {
        let reason =
            format!("{} is no digest that can be checked: sha256 and sha512 are, in lower-case hex", short(word));
        (Code::DigestInvalid, reason)
    })
}

fn short(word: &str) -> String {
    match word.char_indices().nth(LONGEST_REPEATED) {
        Some((end, _)) => format!("{}...", quoted(&word[..end])),
        None => quoted(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn paths_are_taken_apart() {
        let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
        let name = || "ghcr.io/org/app".to_owned();
        for (path, expected) in [
            ("/v2".to_owned(), Route::Base),
            ("/v2/".to_owned(), Route::Base),
            ("/v2/_catalog".to_owned(), Route::Catalog),
            ("/v2/ghcr.io/org/app/tags/list".to_owned(), Route::Tags(name())),
            ("/v2/ghcr.io/org/app/manifests/v1".to_owned(), Route::Manifest(name(), Reference::Tag("v1".to_owned()))),
            (format!("/v2/ghcr.io/org/app/manifests/sha256:{HEX}"), Route::Manifest(name(), Reference::Digest(digest))),
            (
                format!("/v2/ghcr.io/org/app/manifests/sha256%3A{HEX}"),
                Route::Manifest(name(), Reference::Digest(digest)),
            ),
            (format!("/v2/ghcr.io/org/app/blobs/sha256:{HEX}"), Route::Blob(name(), digest)),
            (format!("/v2/ghcr.io/org/app/referrers/sha256:{HEX}"), Route::Referrers(name(), digest)),
            ("/v2/ghcr.io/org/app/blobs/uploads/".to_owned(), Route::Upload),
            ("/v2/ghcr.io/org/app/blobs/uploads".to_owned(), Route::Upload),
            ("/v2/ghcr.io/org/app/blobs/uploads/x".to_owned(), Route::Upload),
            // words of the API may stand in a name
            ("/v2/manifests/tags/tags/list".to_owned(), Route::Tags("manifests/tags".to_owned())),
            (
                "/v2/a/blobs/b/manifests/v1".to_owned(),
                Route::Manifest("a/blobs/b".to_owned(), Reference::Tag("v1".to_owned())),
            ),
        ] {
            assert_eq!(route(&path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (path, code) in [
            ("/", Code::NameUnknown),
            ("", Code::NameUnknown),
            ("/v1/", Code::NameUnknown),
            ("/v2x", Code::NameUnknown),
            ("/v2/app", Code::NameUnknown),
            ("/v2/app/tags", Code::NameUnknown),
            ("/v2//tags/list", Code::NameInvalid),
            ("/v2/tags/list", Code::NameInvalid),
            ("/v2/../tags/list", Code::NameInvalid),
            ("/v2/a/../b/tags/list", Code::NameInvalid),
            ("/v2/a/%2e%2e/b/tags/list", Code::NameInvalid),
            ("/v2/a%2Fb/tags/list", Code::NameInvalid),
            ("/v2/a/%00/tags/list", Code::NameInvalid),
            ("/v2/a/%ff/tags/list", Code::NameInvalid),
            ("/v2/App/tags/list", Code::NameInvalid),
            ("/v2/a..b/tags/list", Code::NameInvalid),
            ("/v2/a.-b/tags/list", Code::NameInvalid),
            ("/v2/a___b/tags/list", Code::NameInvalid),
            ("/v2/-a/tags/list", Code::NameInvalid),
            ("/v2/a/manifests/-v1", Code::ManifestUnknown),
            ("/v2/a/manifests/..", Code::ManifestUnknown),
            ("/v2/a/manifests/", Code::ManifestUnknown),
            ("/v2/a/manifests/sha256:abc", Code::DigestInvalid),
            ("/v2/a/blobs/sha256", Code::DigestInvalid),
            ("/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", Code::DigestInvalid),
            ("/v2/a/blobs/sha256:../../../../etc/passwd", Code::NameUnknown),
            ("/v2/a/blobs/sha256:..%2f..%2fetc%2fpasswd", Code::DigestInvalid),
            ("/v2/a/referrers/v1", Code::DigestInvalid),
        ] {
            assert_eq!(route(path).unwrap_err().0, code, "{path}");
        }
        let upper = format!("/v2/a/blobs/sha256:{}", HEX.to_uppercase());
        assert_eq!(route(&upper).unwrap_err().0, Code::DigestInvalid);
        let long = format!("/v2/{}/tags/list", "a/".repeat(128).trim_end_matches('/'));
        assert!(route(&long).is_ok());
        let long = format!("/v2/{}/tags/list", "a/".repeat(129).trim_end_matches('/'));
        let (code, message) = route(&long).unwrap_err();
        assert_eq!(code, Code::NameInvalid);
        assert!(message.len() < 150, "{message}");
        assert!(!route("/v2/a\u{1b}[2J/tags/list").unwrap_err().1.contains('\u{1b}'));
    }

    #[test]
    fn fields_of_a_query_are_decoded() {
        let query = Some("n=10&last=v1%2E0&artifactType=application%2Fvnd.x+json&empty&ns=ghcr.io&n=20");
        for (name, expected) in
            [("n", Some("10")), ("last", Some("v1.0")), ("empty", Some("")), ("ns", Some("ghcr.io")), ("other", None)]
        {
            assert_eq!(field(query, name).as_deref(), expected, "{name}");
        }
        assert_eq!(field(None, "n"), None);
    }
}
