//! Words: what stands on the command line where an image or a place is meant.
//!
//! ```text
//! ref = [scheme] place [":" name] ["@" digest | "@" N]
//! ```
//!
//! A word is taken apart by its spelling alone. Where only the disk can tell, every reading is returned, in the order in
//! which to try them, and the caller takes the one that exists and refuses when several do.

use std::fmt;
use std::path::{Path, PathBuf};

use super::selector::{LONGEST, parse_pin};
use super::{ImageName, ReferenceError, Selector, is_tag};
use crate::text::escaped;

/// Where images are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A directory (image-spec v1.1.1, image-layout.md).
    Layout(PathBuf),
    /// A tar file of a layout.
    Archive(PathBuf),
    /// A tar file as `docker save` writes it, with a `manifest.json`.
    DockerArchive(PathBuf),
    /// A repository of a registry. Tag and digest, if any, are in the name; there is no selector beside it.
    Registry(ImageName),
    /// `-`: an archive on standard input or output.
    Stdio,
}

/// A place, and which image of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Where.
    pub place: Place,
    /// Which; `None` when the word does not say.
    pub selector: Option<Selector>,
}

/// One way to read a word as a local path: a directory is a layout, a file is an archive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Split {
    /// The path. A `~` at its start is as the user wrote it.
    pub path: PathBuf,
    /// What follows it.
    pub selector: Option<Selector>,
}

/// A way to read a word that fails on what follows the path. Worth saying when nothing else fits and the path exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The path.
    pub path: PathBuf,
    /// Why what follows it selects nothing.
    pub error: ReferenceError,
}

/// A word, as far as its spelling tells what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It has a scheme, or is `-`: the meaning is certain.
    Reference(Reference),
    /// It begins like a path: a local one, of a kind that its content tells.
    Local {
        /// The whole word as a path, then a path up to each `:` or `@` from the left.
        splits: Vec<Split>,
        /// The readings that fail on their selector, in the same order.
        rejected: Vec<Rejected>,
    },
    /// It begins with `:` or `@`: an image in the current layout.
    Current(Selector),
    /// Anything else: a local path, or a name in the current layout.
    Bare {
        /// The word as a name.
        name: Selector,
        /// The word as a path, as for [`Word::Local`].
        splits: Vec<Split>,
        /// As for [`Word::Local`].
        rejected: Vec<Rejected>,
    },
}

type MakePlace = fn(PathBuf) -> Place;

/// The schemes of containers-transports(5): the path ends at the first colon.
const PATH_SCHEMES: [(&str, MakePlace); 3] =
    [("oci:", Place::Layout), ("oci-archive:", Place::Archive), ("docker-archive:", Place::DockerArchive)];

/// The schemes of buildx and regctl: the path ends at the last colon that starts a tag.
const LAYOUT_SCHEMES: [&str; 2] = ["oci-layout://", "ocidir://"];

/// What people know from other programs, and what to do instead.
const FOREIGN_SCHEMES: [(&str, &str); 9] = [
    ("docker-daemon:", "run `docker save -o FILE IMAGE`, then use FILE"),
    ("containers-storage:", "run `podman save --format oci-archive -o FILE IMAGE`, then use FILE"),
    (
        "dir:",
        "run `skopeo copy dir:PATH oci:LAYOUT`, then use LAYOUT; what is itself called dir is `./dir:...` or `:dir:...`",
    ),
    (
        "ostree:",
        "run `skopeo copy ostree:... oci:LAYOUT`, then use LAYOUT; what is itself called ostree is `./ostree:...` or `:ostree:...`",
    ),
    (
        "sif:",
        "run `skopeo copy sif:PATH oci:LAYOUT`, then use LAYOUT; what is itself called sif is `./sif:...` or `:sif:...`",
    ),
    ("docker-image://", "write docker://HOST/REPOSITORY[:TAG]"),
    ("file://", "write the path alone"),
    ("http://", "for a registry write docker://HOST/REPOSITORY[:TAG]; download a file first"),
    ("https://", "for a registry write docker://HOST/REPOSITORY[:TAG]; download a file first"),
];

const SCHEMES_HINT: &str =
    "the schemes are oci:, oci-archive:, docker-archive:, oci-layout://, ocidir:// and docker://; a path needs none";

/// Takes a word apart, without a look at the disk.
///
/// # Errors
///
/// When it is empty, over 4 KiB or holds control characters; when its scheme is one of another program or unknown; when
/// it has a scheme, or begins with `:` or `@`, and what follows is not of that form.
pub fn parse_word(word: &str) -> Result<Word, ReferenceError> {
    let refuse = |reason| ReferenceError::Word { text: word.to_owned(), reason, hint: None };
    if word.is_empty() {
        return Err(refuse("it is empty"));
    }
    if word.len() > LONGEST {
        return Err(refuse("it has more than 4096 bytes"));
    }
    if word.chars().any(char::is_control) {
        return Err(refuse("it holds control characters"));
    }
    if word.starts_with([':', '@']) {
        return Selector::parse(word).map(Word::Current);
    }
    if is_local(word) {
        let (splits, rejected) = splits(word);
        return Ok(Word::Local { splits, rejected });
    }
    if let Some(reference) = parse_scheme(word)? {
        return Ok(Word::Reference(reference));
    }
    let (splits, rejected) = splits(word);
    Ok(Word::Bare { name: Selector::parse(&format!(":{word}"))?, splits, rejected })
}

fn is_local(word: &str) -> bool {
    let after_dots = word.strip_prefix("..").or_else(|| word.strip_prefix('.'));
    word.starts_with(['/', '~']) || after_dots.is_some_and(|it| it.is_empty() || it.starts_with(['/', ':', '@']))
}

fn splits(word: &str) -> (Vec<Split>, Vec<Rejected>) {
    let mut splits = vec![Split { path: word.into(), selector: None }];
    let mut rejected = Vec::new();
    for (at, _) in word.match_indices([':', '@']) {
        let (path, rest) = word.split_at(at);
        match Selector::parse(rest) {
            Ok(selector) => splits.push(Split { path: path.into(), selector: Some(selector) }),
            Err(error) => rejected.push(Rejected { path: path.into(), error }),
        }
    }
    (splits, rejected)
}

/// Parses a word that has a scheme. Only whole known words are schemes: `app:v1` and `localhost:5000/app` have none.
fn parse_scheme(word: &str) -> Result<Option<Reference>, ReferenceError> {
    let foreign = |scheme: &str, instead: &str| ReferenceError::Scheme {
        text: word.to_owned(),
        scheme: scheme.to_owned(),
        instead: instead.to_owned(),
    };
    if let Some(rest) = word.strip_prefix('-')
        && (rest.is_empty() || rest.starts_with([':', '@']))
    {
        let selector = if rest.is_empty() { None } else { Some(Selector::parse(rest)?) };
        return Ok(Some(Reference { place: Place::Stdio, selector }));
    }
    if let Some(rest) = word.strip_prefix("docker://") {
        return parse_registry(word, rest).map(Some);
    }
    for scheme in LAYOUT_SCHEMES {
        if let Some(rest) = word.strip_prefix(scheme) {
            let (path, selector) = split_at_last_tag(rest)?;
            return Ok(Some(Reference { place: Place::Layout(path_of(word, path)?), selector }));
        }
    }
    for (scheme, place) in PATH_SCHEMES {
        if let Some(rest) = word.strip_prefix(scheme) {
            // To the tools that have this scheme `oci://x` is `/x`. Who writes it means a registry, as in helm, or `x`.
            if rest.starts_with("//") && !rest.starts_with("///") {
                let instead = format!("for a path write {scheme}PATH, for a registry docker://HOST/REPOSITORY[:TAG]");
                return Err(foreign(&format!("{scheme}//"), &instead));
            }
            let (path, selector) = split_at_first_colon(rest)?;
            return Ok(Some(Reference { place: place(path_of(word, path)?), selector }));
        }
    }
    if let Some((scheme, instead)) = FOREIGN_SCHEMES.into_iter().find(|(scheme, _)| word.starts_with(scheme)) {
        return Err(foreign(scheme, instead));
    }
    match word.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte)) => {
            Err(foreign(&format!("{scheme}://"), SCHEMES_HINT))
        }
        _ => Ok(None),
    }
}

fn path_of(word: &str, path: &str) -> Result<PathBuf, ReferenceError> {
    if path.is_empty() {
        return Err(ReferenceError::Word { text: word.to_owned(), reason: "it has no path", hint: None });
    }
    Ok(path.into())
}

fn parse_registry(word: &str, rest: &str) -> Result<Reference, ReferenceError> {
    // By docker's grammar `registry.example:5000` is an image on Docker Hub: nobody means that after `docker://`, and
    // what is pushed there by mistake is public.
    let host = rest.split([':', '@']).next().unwrap_or_default();
    if !rest.contains('/') && (host == "localhost" || host.contains('.') || host.starts_with('[')) {
        return Err(ReferenceError::Word {
            text: word.to_owned(),
            reason: "it has a registry and no repository",
            hint: Some(format!("write docker://{rest}/REPOSITORY[:TAG]")),
        });
    }
    Ok(Reference { place: Place::Registry(ImageName::parse(rest)?), selector: None })
}

/// Splits `PATH[:NAME][@DIGEST]` as containers-transports(5) does. Beyond what stands there, a path without a name may
/// be followed by `@DIGEST` or `@N`.
fn split_at_first_colon(rest: &str) -> Result<(&str, Option<Selector>), ReferenceError> {
    let path = match rest.split_once(':') {
        Some((path, _)) => path,
        None => match rest.rsplit_once('@') {
            Some((path, pin)) if parse_pin(pin).is_ok() => path,
            _ => rest,
        },
    };
    with_selector(rest, path)
}

/// Splits `PATH[:TAG][@DIGEST]` as buildx and regctl do: a colon that no tag follows belongs to the path.
fn split_at_last_tag(rest: &str) -> Result<(&str, Option<Selector>), ReferenceError> {
    let head = match rest.rsplit_once('@') {
        Some((head, pin)) if parse_pin(pin).is_ok() => head,
        _ => rest,
    };
    let path = match head.rsplit_once(':') {
        Some((path, tag)) if tag.is_empty() || is_tag(tag) => path,
        _ => head,
    };
    with_selector(rest, path)
}

/// Parses what follows a path. When the colon at which it ends is that of a digest, the path ends before its `@`: no
/// directory is called `dist@sha256`.
fn with_selector<'a>(rest: &'a str, path: &'a str) -> Result<(&'a str, Option<Selector>), ReferenceError> {
    let before = ["@sha256", "@sha512"].into_iter().find_map(|it| path.strip_suffix(it));
    let path = before.filter(|_| path.len() < rest.len()).unwrap_or(path);
    let after = &rest[path.len()..];
    let selector = if after.is_empty() { None } else { Some(Selector::parse(after)?) };
    Ok((path, selector))
}

/// Prints a word that means the same, escaped. (A path with a colon has a scheme only as a layout.)
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |path: &Path| escaped(&path.to_string_lossy());
        match &self.place {
            Place::Layout(path) => {
                let path = text(path);
                let scheme = if path.contains(':') || path.starts_with("//") { "ocidir://" } else { "oci:" };
                write!(f, "{scheme}{path}")?;
            }
            Place::Archive(path) => write!(f, "oci-archive:{}", text(path))?,
            Place::DockerArchive(path) => write!(f, "docker-archive:{}", text(path))?,
            Place::Registry(name) => write!(f, "docker://{name}")?,
            Place::Stdio => f.write_str("-")?,
        }
        match &self.selector {
            // With the colon other tools read it too, and a path that ends with a tag or a colon stays whole.
            Some(Selector::Position(position)) => write!(f, ":@{position}"),
            Some(Selector::Digest(digest)) if matches!(&self.place, Place::Layout(path) if text(path).contains(':')) => {
                write!(f, ":@{digest}")
            }
            Some(selector) => write!(f, "{selector}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn layout(path: &str) -> Place {
        Place::Layout(path.into())
    }

    fn registry(name: &str) -> Place {
        Place::Registry(name.parse().unwrap())
    }

    fn readings(splits: &[Split]) -> Vec<String> {
        let text = |it: &Split| it.selector.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
        splits.iter().map(|it| format!("{}{}", it.path.display(), text(it))).collect()
    }

    #[test]
    fn a_scheme_makes_the_meaning_certain() {
        let archive = |path: &str| Place::Archive(path.into());
        let docker = |path: &str| Place::DockerArchive(path.into());
        for (word, place, selector) in [
            ("oci:dist", layout("dist"), None),
            ("oci:/a/b:v1", layout("/a/b"), Some(":v1")),
            ("oci:dist:ghcr.io/org/app:v1", layout("dist"), Some(":ghcr.io/org/app:v1")),
            ("oci:dist:@0", layout("dist"), Some("@0")),
            ("oci:dist@0", layout("dist"), Some("@0")),
            ("oci:dist@2cf24db", layout("dist"), Some("@2cf24db")),
            ("oci:dist@sha256:2cf24db", layout("dist"), Some("@sha256:2cf24db")),
            ("oci:dist:v1@sha256:2cf24db", layout("dist"), Some(":v1@sha256:2cf24db")),
            ("oci:job@2/dist", layout("job@2/dist"), None),
            ("oci:job@2/", layout("job@2/"), None),
            ("oci:job@2:v1", layout("job@2"), Some(":v1")),
            ("oci:a@b", layout("a@b"), None),
            ("oci:///abs:v1", layout("///abs"), Some(":v1")),
            ("oci:-", layout("-"), None),
            ("oci-archive:a.tar", archive("a.tar"), None),
            ("oci-archive:a.tar:app:v1", archive("a.tar"), Some(":app:v1")),
            ("docker-archive:a.tar:@1", docker("a.tar"), Some("@1")),
            ("docker-archive:a.tar:app:v1", docker("a.tar"), Some(":app:v1")),
            ("oci-layout://dist", layout("dist"), None),
            ("oci-layout://./a/b:v1", layout("./a/b"), Some(":v1")),
            ("ocidir:///a/b:v1", layout("/a/b"), Some(":v1")),
            ("ocidir://a:b/c", layout("a:b/c"), None),
            ("ocidir://a:b/c:v1", layout("a:b/c"), Some(":v1")),
            ("ocidir://a:b/c@sha256:2cf24db", layout("a:b/c"), Some("@sha256:2cf24db")),
            ("ocidir://dist:v1@sha256:2cf24db", layout("dist"), Some(":v1@sha256:2cf24db")),
            ("ocidir://dist:@0", layout("dist"), Some("@0")),
            ("ocidir://job@2/dist:v1", layout("job@2/dist"), Some(":v1")),
            ("ocidir://dist:odd name", layout("dist:odd name"), None),
            ("docker://nginx", registry("nginx"), None),
            ("docker://ghcr.io/org/app:v1", registry("ghcr.io/org/app:v1"), None),
            ("docker://localhost:5000/app", registry("localhost:5000/app"), None),
            ("docker://docker.io/library/a.b:v1", registry("docker.io/library/a.b:v1"), None),
            ("-", Place::Stdio, None),
            ("-:app:v1", Place::Stdio, Some(":app:v1")),
            ("-@0", Place::Stdio, Some("@0")),
        ] {
            let selector = selector.map(|it| Selector::parse(it).unwrap());
            let reference = Reference { place, selector };
            assert_eq!(parse_word(word), Ok(Word::Reference(reference.clone())), "{word}");
            assert_eq!(parse_word(&reference.to_string()), Ok(Word::Reference(reference)), "{word}");
        }
        let pinned = format!("docker://ghcr.io/org/app@{FULL}");
        assert!(matches!(parse_word(&pinned), Ok(Word::Reference(it)) if it.to_string() == pinned));
    }

    #[test]
    fn a_word_that_begins_like_a_path_is_one_and_every_end_is_tried() {
        for (word, expected) in [
            ("/a/b", &["/a/b"][..]),
            (".", &["."]),
            ("..", &[".."]),
            (".:v1", &[".:v1", ". :v1"]),
            ("..@0", &["..@0", ".. @0"]),
            ("./dist", &["./dist"]),
            ("../x:v1", &["../x:v1", "../x :v1"]),
            ("~/x:v1", &["~/x:v1", "~/x :v1"]),
            ("~user/x", &["~user/x"]),
            ("./a:b/c:v1", &["./a:b/c:v1", "./a :b/c:v1", "./a:b/c :v1"]),
            ("./oci:x", &["./oci:x", "./oci :x"]),
            ("/http://x", &["/http://x", "/http ://x"]),
            (
                "./a:v1@sha256:2cf24db",
                &[
                    "./a:v1@sha256:2cf24db",
                    "./a :v1@sha256:2cf24db",
                    "./a:v1 @sha256:2cf24db",
                    "./a:v1@sha256 :2cf24db",
                ],
            ),
            ("./a:@0", &["./a:@0", "./a @0", "./a: @0"]),
            ("./job@2/x:v1", &["./job@2/x:v1", "./job@2/x :v1"]),
        ] {
            match parse_word(word) {
                Ok(Word::Local { splits, .. }) => assert_eq!(readings(&splits), expected, "{word}"),
                other => panic!("{word}: {other:?}"),
            }
        }
    }

    #[test]
    fn any_other_word_is_a_path_or_a_name() {
        for (word, expected) in [
            ("dist", &["dist"][..]),
            ("dist/", &["dist/"]),
            (".hidden", &[".hidden"]),
            ("...", &["..."]),
            ("app:v1", &["app:v1", "app :v1"]),
            ("bundle.tar:v1", &["bundle.tar:v1", "bundle.tar :v1"]),
            ("data/arm64:v1", &["data/arm64:v1", "data/arm64 :v1"]),
            ("localhost:5000/x", &["localhost:5000/x", "localhost :5000/x"]),
            ("C:\\images", &["C:\\images", "C :\\images"]),
            ("docker:dind", &["docker:dind", "docker :dind"]),
            ("OCI:dist", &["OCI:dist", "OCI :dist"]),
            ("DIR:v1", &["DIR:v1", "DIR :v1"]),
            ("directory:v1", &["directory:v1", "directory :v1"]),
            ("oci", &["oci"]),
            ("oci-archive", &["oci-archive"]),
            ("x-", &["x-"]),
            ("dist@2cf24db", &["dist@2cf24db", "dist @2cf24db"]),
            ("ghcr.io/org/app:v1", &["ghcr.io/org/app:v1", "ghcr.io/org/app :v1"]),
        ] {
            match parse_word(word) {
                Ok(Word::Bare { name, splits, .. }) => {
                    assert_eq!(readings(&splits), expected, "{word}");
                    assert_eq!(name.name().as_deref(), Some(word));
                }
                other => panic!("{word}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_reading_that_fails_is_kept_with_its_reason() {
        let Ok(Word::Bare { splits, rejected, .. }) = parse_word("dist@abc123") else { panic!() };
        assert_eq!(readings(&splits), ["dist@abc123"]);
        assert_eq!(rejected.len(), 1);
        assert_eq!(rejected[0].path, Path::new("dist"));
        assert!(rejected[0].error.to_string().contains("fewer than 7 hex digits"), "{}", rejected[0].error);
    }

    #[test]
    fn a_word_that_begins_with_a_mark_is_in_the_current_layout() {
        for (word, selector) in [
            (":v1", ":v1"),
            (":dir:v1", ":dir:v1"),
            (":docker://x", ":docker://x"),
            ("@0", "@0"),
            ("@sha256:2cf24db", "@sha256:2cf24db"),
            (":v1@sha256:2cf24db", ":v1@sha256:2cf24db"),
        ] {
            assert_eq!(parse_word(word), Ok(Word::Current(Selector::parse(selector).unwrap())), "{word}");
        }
    }

    #[test]
    fn a_scheme_of_another_program_is_answered_with_what_to_do() {
        for (word, scheme, hint) in [
            ("docker-daemon:app:v1", "docker-daemon:", "docker save"),
            ("containers-storage:[overlay@/x]app", "containers-storage:", "podman save"),
            ("dir:/tmp/x", "dir:", "skopeo copy"),
            ("ostree:app@/repo", "ostree:", "skopeo copy"),
            ("sif:x.sif", "sif:", "skopeo copy"),
            ("docker-image://alpine", "docker-image://", "docker://"),
            ("file:///tmp/x.tar", "file://", "the path alone"),
            ("http://localhost:5000/app", "http://", "docker://"),
            ("https://ghcr.io/org/app", "https://", "docker://"),
            ("oci://ghcr.io/org/chart", "oci://", "docker://"),
            ("oci-archive://a.tar", "oci-archive://", "oci-archive:PATH"),
            ("s3://bucket/x", "s3://", "the schemes are oci:"),
            ("DOCKER://x/y", "DOCKER://", "the schemes are oci:"),
        ] {
            let error = parse_word(word).unwrap_err();
            assert!(error.to_string().ends_with(&format!("barge does not read {scheme}")), "{word}: {error}");
            assert!(error.hint().is_some_and(|it| it.contains(hint)), "{word}: {:?}", error.hint());
        }
    }

    #[test]
    fn a_word_that_cannot_be_meant_is_refused() {
        let long = "x".repeat(LONGEST + 1);
        for word in [
            "",
            "a\0b",
            "./a\nb",
            "\u{1b}]0;x\u{7}",
            ":\r",
            &long,
            ":",
            "@",
            ":@",
            "@x",
            "@md5:abc",
            "oci:",
            "oci::v1",
            "oci:@0",
            "oci:dist:",
            "oci:dist@sha256:",
            "oci:dist@sha256:xyz",
            "oci:dist:@x",
            "oci-archive:",
            "docker-archive::@0",
            "ocidir://",
            "ocidir://:v1",
            "ocidir://dist:",
            "ocidir://dist@sha256:abc",
            "oci-layout://",
            "-:",
            "-@",
            "docker://",
            "docker:///app",
            "docker://ghcr.io/Org/app",
            "docker://ghcr.io/org/app@sha256:abc",
            "docker://app/../../x",
        ] {
            let error = parse_word(word).unwrap_err();
            assert!(!error.to_string().chars().any(crate::text::is_unsafe), "{word:?}: {error}");
        }
        for word in
            ["docker://localhost:5000", "docker://registry.example:5000", "docker://ghcr.io", "docker://[::1]:5000"]
        {
            let error = parse_word(word).unwrap_err();
            assert_eq!(error.hint(), Some(format!("write {word}/REPOSITORY[:TAG]")), "{word}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(word in "\\PC*|.{0,40}|[a-z0-9.~:/@-]{0,40}") {
            if let Ok(Word::Local { splits, rejected } | Word::Bare { splits, rejected, .. }) = parse_word(&word) {
                let marks = word.matches([':', '@']).count();
                prop_assert_eq!(splits.len() + rejected.len(), marks + 1);
                prop_assert_eq!(&splits[0].path, Path::new(&word));
            }
        }

        #[test]
        fn printing_and_parsing_agree(
            scheme in "oci:|oci-archive:|docker-archive:|oci-layout://|ocidir://|docker://|-",
            rest in "([a-z0-9:/@.]{0,6}|:v1|:@|@sha256:2cf24db|@2cf24db|@3){0,5}",
        ) {
            if let Ok(Word::Reference(reference)) = parse_word(&format!("{scheme}{rest}")) {
                prop_assert_eq!(parse_word(&reference.to_string()), Ok(Word::Reference(reference)));
            }
        }
    }
}
