//! What podman and skopeo do, which share one library.

use super::super::facts::{Facts, Image};
use super::{Case, NAME_IT, SAVE_AGAIN, UNPACKED, WHOLE, elements, gone, name_it};
use crate::media::{Compression, DOCKER_INDEX, DOCKER_MANIFEST};
use crate::ops::check::Verdict;
use crate::reference::{ImageName, is_tag};
use crate::text::{escaped, shell_word};

/// How a path with a colon ends too early for this library: the rest would be a name.
const COLON: &str = "what follows the first colon of a file's name is taken for an image's";
const RENAME: &str = "give the file a name without a colon";

/// `libimage.Load`: as an OCI archive; when anything at all is wrong with that, as a docker-archive.
pub(super) fn podman(facts: &Facts, file: &str, case: &mut Case) {
    case.commands.push(format!("podman load -i {}", shell_word(file)));
    let why = match facts.images.as_slice() {
        [only] if facts.layout => match podman_one(only, facts, file, case) {
            Ok(()) => return,
            Err(why) => Some(why),
        },
        several if facts.layout => Some(format!("index.json has {} entries, and podman takes one only", several.len())),
        _ => None,
    };
    if facts.elements.is_none() {
        return case.refuses(why.unwrap_or_default() + ", and there is no manifest.json", SAVE_AGAIN);
    }
    if facts.compression == Compression::Gzip {
        return case.refuses("it is packed with gzip, and podman cannot read manifest.json in it", UNPACKED);
    }
    if file.contains(':') {
        return case.refuses(COLON, RENAME);
    }
    elements(facts, case, podman_name);
    if case.verdict == Verdict::Refuses {
        return;
    }
    for tag in facts.elements.iter().flatten().flat_map(|element| &element.tags) {
        if let Some(name) = podman_name(tag).filter(|_| !is_qualified(tag)) {
            case.partly(format!("{} is a short name: podman calls it {name}", escaped(tag)), SAVE_AGAIN);
        }
    }
    if let Some(why) = why {
        let reason =
            format!("{why}: it reads manifest.json, which names one platform and not the digests of the layout");
        case.partly(reason, "save one image a file, or copy it with skopeo");
    }
}

/// A layout with one entry: podman takes the platform of its machine, or the only one.
fn podman_one(image: &Image, facts: &Facts, file: &str, case: &mut Case) -> Result<(), String> {
    let host = &facts.host;
    let is_whole = match &image.listed {
        None => image.missing == 0,
        Some(listed) => match image.listed_for(host) {
            Some(listed) => listed.whole,
            None => {
                let there: Vec<String> = listed.iter().map(|listed| listed.platform.to_string()).collect();
                return Err(format!("it has no image for {host}, only for {}", there.join(", ")));
            }
        },
    };
    if !is_whole {
        return Err(format!("pieces of what is for {host} are not there"));
    }
    match image.full.as_deref().or(image.own.as_deref()) {
        None => case.partly("it is loaded without a name", &name_it(file, image)),
        Some(given) => {
            let name = podman_name(given).ok_or_else(|| format!("{} is no name that podman takes", escaped(given)))?;
            let name = name.with_default_tag().to_string();
            if name != given {
                case.partly(format!("{} will be called {name}", escaped(given)), &name_it(file, image));
            }
            case.takes(&name, None);
        }
    }
    if image.listed.as_ref().is_some_and(|listed| listed.len() > 1) {
        case.partly(format!("of its platforms only {host} is taken"), "");
    }
    Ok(())
}

/// `NormalizeName`: what has no host is put under `localhost`.
fn podman_name(text: &str) -> Option<ImageName> {
    let text = if is_qualified(text) { text.to_owned() } else { format!("localhost/{text}") };
    ImageName::parse(&text).ok()
}

fn is_qualified(name: &str) -> bool {
    name.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost")
}

/// `skopeo copy --all`: one image at a time.
pub(super) fn skopeo(facts: &Facts, file: &str, case: &mut Case) {
    if file.contains(':') {
        return case.refuses(COLON, RENAME);
    }
    if facts.layout { skopeo_layout(facts, file, case) } else { skopeo_elements(facts, file, case) }
}

/// `oci-archive:`: the only entry, or the first with that reference name.
fn skopeo_layout(facts: &Facts, file: &str, case: &mut Case) {
    let is_only = facts.images.len() == 1;
    let take = |image: &Image, name: Option<&str>, case: &mut Case| {
        let name = name.map(|name| format!(":{name}")).unwrap_or_default();
        let from = shell_word(&format!("oci-archive:{file}{name}"));
        let to = destination(image.full.as_deref().or(image.own.as_deref()));
        case.command(format!("skopeo copy --all --preserve-digests {from} {to}"));
    };
    for image in &facts.images {
        let what = image.own.as_deref().map_or_else(|| image.root.digest().short(), escaped);
        match own_name(image, is_only, file, case) {
            Ok(own) => take(image, own.filter(|_| !is_only), case),
            Err((why, _)) if is_only => {
                case.partly(format!("{what}: {why}; without a name it is found"), "");
                take(image, None, case);
            }
            Err(_) if image.attached => {}
            Err((why, fix)) => case.partly(format!("{what}: {why}"), &fix),
        }
    }
    if let Some(gone) = gone(facts) {
        case.refuses(format!("{gone}, and --all looks for them"), WHOLE);
    } else if case.commands.is_empty() {
        case.refuses("no image in it can be had by a name", NAME_IT);
    }
}

/// Returns by which name skopeo finds an image, none for the only one; or why it does not, and what to do.
fn own_name<'a>(
    image: &'a Image,
    is_only: bool,
    file: &str,
    case: &mut Case,
) -> Result<Option<&'a str>, (&'static str, String)> {
    let is_docker = [DOCKER_INDEX, DOCKER_MANIFEST].contains(&image.root.media_type().as_str());
    match image.own.as_deref() {
        None if is_only => Ok(None),
        None => Err(("it has no reference name", name_it(file, image))),
        Some(own) if !is_reference(own) => Err(("it is no reference name that skopeo takes", name_it(file, image))),
        Some(_) if is_docker => {
            let why = "it has a Docker media type, and skopeo before 1.19 finds no such image by its name";
            Err((why, "use skopeo 1.19, or save one image a file".to_owned()))
        }
        Some(own) if case.takes(own, Some(*image.root.digest())) => Ok(Some(own)),
        Some(_) => Err(("it stands there twice, and the first is taken without a word", SAVE_AGAIN.to_owned())),
    }
}

/// `docker-archive:`: the only element, or the one with that name, completed as docker does.
fn skopeo_elements(facts: &Facts, file: &str, case: &mut Case) {
    if facts.compression == Compression::Gzip {
        return case.refuses("a docker-archive that is packed with gzip it cannot read", UNPACKED);
    }
    let elements = facts.elements.as_deref().unwrap_or_default();
    for (at, element) in elements.iter().enumerate() {
        let mut first = None;
        for tag in &element.tags {
            match ImageName::parse(tag) {
                Ok(name) if case.takes(&name.to_string(), None) => first = first.or(Some(name.to_string())),
                Ok(name) => case.partly(format!("{name} stands twice: the first one is taken"), SAVE_AGAIN),
                Err(_) => case.partly(format!("{} is no name", escaped(tag)), SAVE_AGAIN),
            }
        }
        if element.tags.is_empty() {
            case.partly("an image has no name: it can be had by its position only", NAME_IT);
        }
        let which = match &first {
            _ if elements.len() == 1 => String::new(),
            Some(name) => format!(":{name}"),
            None => format!(":@{at}"),
        };
        let from = shell_word(&format!("docker-archive:{file}{which}"));
        case.commands.push(format!("skopeo copy {from} {}", destination(first.as_deref())));
    }
}

/// Where a name says that an image belongs.
fn destination(name: Option<&str>) -> String {
    let full = name.filter(|name| name.contains('/')).and_then(|name| ImageName::parse(name).ok());
    match full {
        Some(name) => shell_word(&format!("docker://{}", name.with_default_tag())),
        None => "docker://HOST/REPOSITORY:TAG".to_owned(),
    }
}

/// Returns whether text is a reference name by skopeo's grammar: words of letters and digits, joined by `-._:@+` or `--`, in
/// parts with `/`.
fn is_reference(text: &str) -> bool {
    let part = |part: &str| {
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = part.as_bytes();
        ends(bytes.first())
            && ends(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._:@+".contains(byte))
            && bytes.windows(2).all(|two| two.iter().any(u8::is_ascii_alphanumeric) || two == b"--")
            && !part.contains("---")
    };
    is_tag(text) && part(text) || text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_names_are_told_from_other_text() {
        for (text, is) in [
            ("v1", true),
            ("ghcr.io/org/app:v1", true),
            ("a--b", true),
            ("a---b", false),
            ("_v1", false),
            ("a b", false),
            ("a/", false),
            ("", false),
        ] {
            assert_eq!(is_reference(text), is, "{text}");
        }
    }

    #[test]
    fn a_name_without_a_host_is_put_under_localhost() {
        for (given, name) in [
            ("v1", "localhost/v1"),
            ("hello:v1", "localhost/hello:v1"),
            ("org/hello:v1", "localhost/org/hello:v1"),
            ("example.com/hello:v1", "example.com/hello:v1"),
            ("localhost/hello:v1", "localhost/hello:v1"),
            ("docker.io/hello:v1", "docker.io/library/hello:v1"),
        ] {
            assert_eq!(podman_name(given).unwrap().to_string(), name);
        }
        assert!(podman_name("V1").is_none() && podman_name("_v1").is_none());
    }
}
