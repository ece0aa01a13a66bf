//! The grammar: from a document to what it says.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;

use regex_lite::{Regex, RegexBuilder};
use semver::VersionReq;

use super::source::is_pattern;
use super::{At, Belonging, Bundle, By, Choice, Entry, Kind, Repositories, Source, SyncFile, Tags, Target, TargetKind};
use super::{LARGEST_FILE, Template};
use crate::bundle::{Medium, Mode, parse_part_size};
use crate::platform::PlatformFilter;
use crate::recipe::pattern::Pattern;
use crate::reference::{Destination, ImageName, is_tag, parse_destination, parse_host, parse_remote};
use crate::text::{escaped, nearest, quoted};
use crate::yaml::{self, Fault, Node, Value, refuse_other_keys};

/// The fields of each mapping of a file, as `docs/sync.schema.json` calls them.
pub const FIELDS: [(&str, &[&str]); 5] =
    [("file", &FILE), ("entry", &ENTRY), ("source", &SOURCE), ("tags", &TAGS), ("target", &TARGET)];

const FILE: [&str; 2] = ["images", "sync"];
const ENTRY: [&str; 8] = ["from", "index", "name", "platforms", "referrers", "rename", "require-signature", "to"];
const SOURCE: [&str; 7] = ["archive", "images", "layout", "list", "registry", "tags", "verify-key"];
const TAGS: [&str; 6] = ["by", "exclude", "newest", "prereleases", "regex", "semver"];
const TARGET: [&str; 11] = [
    "archive",
    "base",
    "base-key",
    "bundle",
    "layout",
    "media",
    "registry",
    "rename",
    "sign-key",
    "split",
    "split-mode",
];
/// The fields of a target that only a bundle has.
const OF_BUNDLES: [&str; 6] = ["base", "base-key", "media", "sign-key", "split", "split-mode"];
const SOURCES: [&str; 4] = ["registry", "layout", "archive", "list"];
const TARGETS: [&str; 4] = ["registry", "layout", "archive", "bundle"];

/// How many entries a file may have, and sources, targets, tags and the like each of them.
const MOST: usize = 1000;
/// The longest regular expression, in bytes, and how large it may become.
const LONGEST_REGEX: usize = 1000;
const LARGEST_REGEX: usize = 1 << 20;

pub(super) fn read(file: &Arc<str>, bytes: &[u8]) -> Result<SyncFile, Fault> {
    let document = document(bytes)?;
    if document.get("sync").is_none() && document.get("images").is_some() {
        return Err(Fault::new("this is a list of images, and has no `sync:`").at(document.position()).hint(
            "give it to `barge pull -f` or `barge save --list`, or name it in a file for sync: `from: [{list: FILE}]`",
        ));
    }
    let Some(entries) = document.get("sync") else {
        let hint = "write `sync:`, and below it a list of entries with `from:` and `to:`";
        return Err(Fault::new("this has no `sync:`").at(document.position()).hint(hint));
    };
    refuse_other_keys(&document, &FILE)?;
    let reader = Reader { file };
    let entries = items(entries, "sync")?.iter().enumerate();
    Ok(SyncFile { entries: entries.map(|(at, node)| reader.entry(at, node)).collect::<Result<_, _>>()? })
}

/// Reads the one document of a file.
pub(super) fn document(bytes: &[u8]) -> Result<Node, Fault> {
    if bytes.len() > LARGEST_FILE {
        return Err(Fault::new("it is larger than 8 MiB"));
    }
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| Fault::new("it is not text in UTF-8"))?;
    let mut documents = yaml::documents(text.strip_prefix('\u{feff}').unwrap_or(text))?;
    match documents.len() {
        0 => Err(Fault::new("it is empty")),
        1 => Ok(documents.swap_remove(0)),
        _ => Err(Fault::new("it has several documents, and one is read").at(documents[1].position())),
    }
}

struct Reader<'a> {
    file: &'a Arc<str>,
}

impl Reader<'_> {
    fn at(&self, node: &Node) -> At {
        let (line, column) = node.position();
        At { file: Arc::clone(self.file), line, column }
    }

    fn entry(&self, number: usize, node: &Node) -> Result<Entry, Fault> {
        mapping(node, "an entry")?;
        refuse_other_keys(node, &ENTRY)?;
        let need = |key| needed(node, key, "an entry");
        let sources = items(need("from")?, "from")?.iter().map(|node| self.source(node));
        let targets = items(need("to")?, "to")?.iter().map(|node| self.target(node));
        let name = match node.get("name") {
            Some(name) => escaped(text(name, "name")?),
            None => format!("entry {}", number + 1),
        };
        Ok(Entry {
            at: self.at(node),
            name,
            sources: sources.collect::<Result<_, _>>()?,
            targets: targets.collect::<Result<_, _>>()?,
            platforms: match node.get("platforms") {
                None => PlatformFilter::All,
                Some(node) => platforms(node)?,
            },
            keep_index: word(node, "index", &["shrink", "keep"])? == Some("keep"),
            referrers: node.get("referrers").map(referrers).transpose()?.unwrap_or_default(),
            rename: rename(node)?,
            require_signature: paths(node, "require-signature")?,
        })
    }

    fn source(&self, node: &Node) -> Result<Source, Fault> {
        mapping(node, "a source")?;
        refuse_other_keys(node, &SOURCE)?;
        let (key, value) = one_of(node, &SOURCES, "a source")?;
        let place = text(value, key)?;
        let tags = node.get("tags").map(tags).transpose()?;
        let images = match node.get("images") {
            None => Vec::new(),
            Some(list) => texts(list, "images")?.into_iter().map(image_pattern).collect::<Result<_, _>>()?,
        };
        let kind = match key {
            "registry" => Kind::Registry(repositories(value, place)?),
            "layout" => Kind::Layout(path_pattern(value, place)?),
            "archive" => Kind::Archive(path_pattern(value, place)?),
            _ => Kind::List(path(value, place)?),
        };
        let not_here = |key: &str, hint: &str| match node.get(key) {
            Some(found) => Err(Fault::new(format!("{key} cannot stand here")).at(found.position()).hint(hint)),
            None => Ok(()),
        };
        if !matches!(kind, Kind::Archive(_)) {
            not_here(
                "verify-key",
                "what a key signs are bundles: it stands beside `archive:`; of images, `require-signature` of the entry asks",
            )?;
        }
        match &kind {
            Kind::Registry(Repositories::One(name)) if name.tag().is_some() || name.digest().is_some() => {
                not_here("tags", "the name has a tag or a digest already")?;
                not_here("images", "the name is that of one image already")?;
            }
            Kind::Registry(_) if tags.is_none() => {
                let hint = "write `tags:` with a list, or with `regex`, `semver` or `newest`; `regex: .` takes all";
                return Err(Fault::new("it is not said which tags are meant").at(value.position()).hint(hint));
            }
            Kind::Registry(Repositories::One(_)) => not_here("images", "the repository is named already")?,
            Kind::Registry(Repositories::Matching { .. }) => not_here("images", "the pattern says which repositories")?,
            Kind::List(_) => {
                not_here("tags", "a list names its images with their tags")?;
                not_here("images", "a list names its images")?;
            }
            Kind::Layout(_) | Kind::Archive(_) => {}
        }
        Ok(Source { at: self.at(node), kind, tags, images, verify_key: paths(node, "verify-key")? })
    }

    fn target(&self, node: &Node) -> Result<Target, Fault> {
        mapping(node, "a target")?;
        refuse_other_keys(node, &TARGET)?;
        let (key, value) = one_of(node, &TARGETS, "a target")?;
        let place = text(value, key)?;
        let other = OF_BUNDLES.iter().find_map(|key| node.get(key).map(|found| (*key, found)));
        if let Some((field, found)) = other.filter(|_| key != "bundle") {
            return Err(Fault::new(format!("{field} stands beside `bundle:` alone")).at(found.position()));
        }
        let kind = match key {
            "registry" => TargetKind::Registry(match parse_destination(place).map_err(refused(value))? {
                Destination::Prefix(prefix) => prefix,
                Destination::Name(name) => {
                    let hint = format!("write HOST[/PREFIX], and `rename: {name}` beside it for one image");
                    return Err(Fault::new(format!("{name} is an image, and a registry is meant"))
                        .at(value.position())
                        .hint(hint));
                }
            }),
            "layout" => TargetKind::Layout(path(value, place)?),
            "archive" => TargetKind::Archive(path(value, place)?),
            _ => TargetKind::Bundle(bundle(node, path(value, place)?)?),
        };
        Ok(Target { at: self.at(node), kind, rename: rename(node)? })
    }
}

fn bundle(node: &Node, path: String) -> Result<Bundle, Fault> {
    let size = match (node.get("split"), node.get("media")) {
        (Some(_), Some(media)) => {
            return Err(Fault::new("split and media say the same: one of them").at(media.position()));
        }
        (Some(split), None) => Some(match &split.value {
            Value::Number(bytes) => *bytes,
            _ => parse_part_size(text(split, "split")?)
                .ok_or_else(|| Fault::new("split has to be a size such as 4400M, 4G or 650MiB").at(split.position()))?,
        }),
        (None, Some(media)) => {
            let medium = text(media, "media")?.parse::<Medium>();
            Some(medium.map_err(|error| Fault::new(error.to_string()).at(media.position()))?.part_size())
        }
        (None, None) => None,
    };
    let mode = match word(node, "split-mode", &["stream", "archive"])? {
        Some("archive") => Mode::Archive,
        _ => Mode::Stream,
    };
    if let (None, Some(said)) = (size, node.get("split-mode")) {
        return Err(Fault::new("split-mode needs a size").at(said.position()).hint("write `split:` or `media:`"));
    }
    let base = list(node, "base")?;
    if let (true, Some(keys)) = (base.is_empty(), node.get("base-key")) {
        return Err(Fault::new("base-key needs a base").at(keys.position()));
    }
    let sign_key = node.get("sign-key").map(|node| text(node, "sign-key").map(PathBuf::from)).transpose()?;
    Ok(Bundle { path, split: size.map(|size| (size, mode)), base, base_key: paths(node, "base-key")?, sign_key })
}

fn tags(node: &Node) -> Result<Tags, Fault> {
    if matches!(node.value, Value::List(_)) {
        let mut tags = Vec::new();
        for (node, tag) in texts(node, "tags")? {
            if !is_tag(tag) {
                return Err(Fault::new(format!("{} is no tag", quoted(tag))).at(node.position()));
            }
            tags.push(tag.to_owned());
        }
        return Ok(Tags::Exact(tags));
    }
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("tags has to be a list of tags or a mapping, and is {}", node.what());
        return Err(Fault::new(message)
            .at(node.position())
            .hint("write `tags: [v1, v2]` or `tags: {semver: \">=1.2\"}`"));
    }
    refuse_other_keys(node, &TAGS)?;
    let choice = Choice {
        regex: node.get("regex").map(regex).transpose()?,
        exclude: node.get("exclude").map(regex).transpose()?,
        semver: node.get("semver").map(range).transpose()?,
        newest: node.get("newest").map(newest).transpose()?,
        by: match word(node, "by", &["version", "created"])? {
            Some("created") => By::Created,
            _ => By::Version,
        },
        prereleases: match node.get("prereleases").map(|node| (&node.value, node)) {
            None => false,
            Some((Value::Truth(truth), _)) => *truth,
            Some((_, node)) => return Err(wrong(node, "prereleases", "true or false")),
        },
    };
    if choice.regex.is_none() && choice.semver.is_none() && choice.newest.is_none() {
        let hint = "`regex: .` takes all";
        return Err(Fault::new("tags needs regex, semver or newest").at(node.position()).hint(hint));
    }
    if let (None, Some(by)) = (choice.newest, node.get("by")) {
        return Err(Fault::new("by needs newest").at(by.position()));
    }
    Ok(Tags::Where(choice))
}

fn regex(node: &Node) -> Result<Regex, Fault> {
    let pattern = text(node, "a regular expression")?;
    if pattern.len() > LONGEST_REGEX {
        return Err(
            Fault::new(format!("this regular expression is longer than {LONGEST_REGEX} bytes")).at(node.position())
        );
    }
    let built = RegexBuilder::new(pattern).size_limit(LARGEST_REGEX).nest_limit(50).build();
    built.map_err(|error| {
        let message = format!("{} is no regular expression: {}", quoted(pattern), escaped(&error.to_string()));
        Fault::new(message)
            .at(node.position())
            .hint("the syntax is that of https://docs.rs/regex-lite; no look-around, no back references")
    })
}

fn range(node: &Node) -> Result<VersionReq, Fault> {
    let range = text(node, "semver")?;
    VersionReq::parse(range).map_err(|error| {
        let message = format!("{} is no range of versions: {}", quoted(range), escaped(&error.to_string()));
        Fault::new(message).at(node.position()).hint("write such as \">=1.2, <2\", \"^1.4\", \"~1.4.2\" or \"1.*\"")
    })
}

fn newest(node: &Node) -> Result<usize, Fault> {
    match node.value {
        Value::Number(number @ 1..=1000) => Ok(usize::try_from(number).unwrap_or(1)),
        _ => Err(wrong(node, "newest", "a number from 1 to 1000")),
    }
}

fn platforms(node: &Node) -> Result<PlatformFilter, Fault> {
    let values: Vec<&str> = texts(node, "platforms")?.into_iter().map(|(_, text)| text).collect();
    PlatformFilter::parse(values).map_err(|error| {
        let fault = Fault::new(error.to_string()).at(node.position());
        match error.hint() {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    })
}

fn referrers(node: &Node) -> Result<Belonging, Fault> {
    if let Some(word) = node.as_text() {
        return match word {
            "all" => Ok(Belonging::All),
            "none" => Ok(Belonging::None),
            _ => Err(wrong(node, "referrers", "all, none or a list of types")),
        };
    }
    let mut types = Vec::new();
    for (node, text) in texts(node, "referrers")? {
        if text != "cosign" && !text.contains('/') {
            return Err(Fault::new(format!("{} is no type of artifact", quoted(text)))
                .at(node.position())
                .hint("write types such as application/spdx+json, or cosign"));
        }
        types.push(text.to_owned());
    }
    Ok(Belonging::Types(types))
}

fn repositories(node: &Node, place: &str) -> Result<Repositories, Fault> {
    if !is_pattern(place) {
        // a tag is not filled in: whoever names none says which
        parse_remote(place).map_err(refused(node))?;
        let name = ImageName::from_str(place.strip_prefix("docker://").unwrap_or(place)).map_err(refused(node))?;
        return Ok(Repositories::One(name));
    }
    let hint = "write HOST/PATTERN, such as registry.example/team/*";
    let (host, path) = place.split_once('/').filter(|(host, _)| !is_pattern(host)).ok_or_else(|| {
        Fault::new(format!("{} does not say the registry", quoted(place))).at(node.position()).hint(hint)
    })?;
    let host = parse_host(host).map_err(refused(node))?;
    if path.contains([':', '@']) {
        let message = format!("{} has a tag or a digest, and wildcards", quoted(place));
        return Err(Fault::new(message).at(node.position()).hint("write which tags with `tags:`"));
    }
    let pattern = pattern(node, path)?;
    Ok(Repositories::Matching { host, text: path.to_owned(), pattern })
}

fn image_pattern((node, text): (&Node, &str)) -> Result<(String, Pattern), Fault> {
    Ok((text.to_owned(), pattern(node, text)?))
}

fn pattern(node: &Node, text: &str) -> Result<Pattern, Fault> {
    Pattern::with_double_stars(text)
        .map_err(|reason| Fault::new(format!("{} is no pattern: {reason}", quoted(text))).at(node.position()))
}

/// Checks a path that may have wildcards, by its parts.
fn path_pattern(node: &Node, text: &str) -> Result<String, Fault> {
    let path = path(node, text)?;
    for part in path.split('/').filter(|part| is_pattern(part)) {
        if part.contains("**") {
            let hint = "`*` stands for anything in one name: write `a/*/b` for one level of directories";
            return Err(Fault::new("** has no meaning in a path here").at(node.position()).hint(hint));
        }
        Pattern::new(part)
            .map_err(|reason| Fault::new(format!("{} is no pattern: {reason}", quoted(part))).at(node.position()))?;
    }
    Ok(path)
}

fn path(node: &Node, text: &str) -> Result<String, Fault> {
    let schemes = ["docker://", "oci:", "oci-archive:", "docker-archive:", "dir:", "http://", "https://"];
    if let Some(scheme) = schemes.iter().find(|scheme| text.starts_with(**scheme)) {
        return Err(Fault::new(format!("{scheme} is no part of a path"))
            .at(node.position())
            .hint("write the path alone"));
    }
    if text == "-" {
        return Err(Fault::new("standard input and output cannot be used here")
            .at(node.position())
            .hint("write a path"));
    }
    Ok(text.to_owned())
}

fn rename(node: &Node) -> Result<Option<Template>, Fault> {
    let Some(node) = node.get("rename") else { return Ok(None) };
    let template = text(node, "rename")?;
    Template::parse(template).map(Some).map_err(|(reason, hint)| {
        let fault = Fault::new(format!("rename cannot be {}: {reason}", quoted(template))).at(node.position());
        fault.hint(hint.unwrap_or_else(|| "write such as \"registry.example/mirror/{repository}:{tag}\"".to_owned()))
    })
}

fn paths(node: &Node, key: &str) -> Result<Vec<PathBuf>, Fault> {
    Ok(list(node, key)?.into_iter().map(PathBuf::from).collect())
}

fn list(node: &Node, key: &str) -> Result<Vec<String>, Fault> {
    let Some(list) = node.get(key) else { return Ok(Vec::new()) };
    Ok(texts(list, key)?.into_iter().map(|(_, text)| text.to_owned()).collect())
}

fn needed<'a>(node: &'a Node, key: &str, what: &str) -> Result<&'a Node, Fault> {
    node.get(key).ok_or_else(|| Fault::new(format!("{what} needs `{key}:`")).at(node.position()))
}

fn mapping(node: &Node, what: &str) -> Result<(), Fault> {
    match node.value {
        Value::Map(_) => Ok(()),
        _ => Err(Fault::new(format!("{what} has to be a mapping, and is {}", node.what())).at(node.position())),
    }
}

/// Returns the one of some fields that says what something is.
fn one_of<'a>(node: &'a Node, keys: &[&'static str], what: &str) -> Result<(&'static str, &'a Node), Fault> {
    let mut found = keys.iter().filter_map(|key| node.get(key).map(|value| (*key, value)));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some((one, _)), Some((other, value))) => {
            let message = format!("{what} is one thing, and this is {one} and {other}");
            Err(Fault::new(message).at(value.position()).hint("write two items of the list"))
        }
        (None, _) => {
            let message = format!("{what} needs one of `{}:`", keys.join(":`, `"));
            Err(Fault::new(message).at(node.position()))
        }
    }
}

/// Returns the items of a list that has some, and not too many.
pub(super) fn items<'a>(node: &'a Node, key: &str) -> Result<&'a [Node], Fault> {
    let items = node.items(key)?;
    match items.len() {
        0 => Err(Fault::new(format!("{key} is an empty list")).at(node.position())),
        1..=MOST => Ok(items),
        _ => Err(Fault::new(format!("{key} has more than {MOST} items")).at(items[MOST].position())),
    }
}

fn texts<'a>(node: &'a Node, key: &str) -> Result<Vec<(&'a Node, &'a str)>, Fault> {
    items(node, key)?.iter().map(|item| Ok((item, text(item, &format!("an item of {key}"))?))).collect()
}

/// Returns a text that is not empty.
pub(super) fn text<'a>(node: &'a Node, what: &str) -> Result<&'a str, Fault> {
    let found = node.as_text().map(str::trim).filter(|text| !text.is_empty());
    let found = found.ok_or_else(|| match node.value {
        Value::Number(_) | Value::Truth(_) | Value::Other(_) => {
            wrong(node, what, "a text").hint("write it in quotes: 3.20 is the number 3.2 to YAML, and \"3.20\" a text")
        }
        // {name}:{tag}
        Value::Map(_) => wrong(node, what, "a text").hint("what begins with a brace stands in quotes"),
        _ => wrong(node, what, "a text"),
    })?;
    yaml::refuse_template(node, found)?;
    Ok(found)
}

fn wrong(node: &Node, what: &str, expected: &str) -> Fault {
    let got = node.as_text().map_or_else(|| node.what().to_owned(), quoted);
    Fault::new(format!("{what} has to be {expected}, and is {got}")).at(node.position())
}

/// Returns one of some words.
fn word(node: &Node, key: &str, words: &[&'static str]) -> Result<Option<&'static str>, Fault> {
    let Some(node) = node.get(key) else { return Ok(None) };
    let found = text(node, key)?;
    let known = words.iter().find(|word| **word == found).copied();
    known.map(Some).ok_or_else(|| {
        let fault = wrong(node, key, &words.join(" or "));
        match nearest(found, words.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean {near} ?")),
            None => fault,
        }
    })
}

fn refused(node: &Node) -> impl Fn(crate::reference::ReferenceError) -> Fault {
    let position = node.position();
    move |error| {
        let fault = Fault::new(error.to_string()).at(position);
        match error.hint() {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}
