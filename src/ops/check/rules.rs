//! What each loader does with an archive.
//!
//! | loader | seen with |
//! |---|---|
//! | docker, containerd store | moby `daemon/containerd/image_exporter.go`, 29 |
//! | docker, classic store | 20.10.24; moby `daemon/internal/image/tarexport/load.go` |
//! | podman | 4.3.1; container-libs `common/libimage/load.go` |
//! | ctr | containerd 1.6.20; `core/images/archive/importer.go` |
//! | nerdctl | its `pkg/imgutil/load`, over containerd's importer |
//! | skopeo | 1.9.3; image `oci/layout/oci_transport.go` |

use std::collections::HashSet;

use super::facts::{Facts, Image};
use super::{Loader, Prediction, Remark, Verdict};
use crate::media::Compression;
use crate::reference::{ImageName, is_tag};
use crate::text::{escaped, shell_word};

/// What a loader will do, as it comes together.
struct Case {
    verdict: Verdict,
    names: Vec<String>,
    remarks: Vec<Remark>,
}

impl Case {
    const fn new() -> Self {
        Self { verdict: Verdict::Takes, names: Vec::new(), remarks: Vec::new() }
    }

    fn remark(&mut self, verdict: Verdict, reason: impl Into<String>, fix: &str) {
        self.verdict = self.verdict.max(verdict);
        let fix = (!fix.is_empty()).then(|| fix.to_owned());
        self.remarks.push(Remark { reason: reason.into(), fix });
    }

    fn refuses(&mut self, reason: impl Into<String>, fix: &str) {
        self.names.clear();
        self.remark(Verdict::Refuses, reason, fix);
    }
}

const SAVE_AGAIN: &str = "write the file with `barge save`, which makes it load everywhere";
const NAME_IT: &str = "give it a full name: `barge tag FILE:NAME HOST/REPOSITORY:TAG`";

/// Predicts what one loader does.
pub(super) fn predict(loader: Loader, facts: &Facts, file: &str) -> Prediction {
    let mut case = Case::new();
    match loader {
        Loader::Docker => docker(facts, &mut case),
        Loader::DockerClassic => docker_classic(facts, &mut case),
        Loader::Podman => podman(facts, &mut case),
        Loader::Ctr => ctr(facts, &mut case),
        Loader::Nerdctl => nerdctl(facts, &mut case),
        Loader::Skopeo => skopeo(facts, &mut case),
    }
    let command = command(loader, facts, &case, file);
    Prediction { loader, verdict: case.verdict, names: case.names, remarks: case.remarks, command }
}

fn command(loader: Loader, facts: &Facts, case: &Case, file: &str) -> String {
    let file = shell_word(file);
    match loader {
        Loader::Docker | Loader::DockerClassic => format!("docker load -i {file}"),
        Loader::Podman => format!("podman load -i {file}"),
        Loader::Ctr => format!("ctr -n k8s.io images import --all-platforms {file}"),
        Loader::Nerdctl => format!("nerdctl load --all-platforms -i {file}"),
        Loader::Skopeo => {
            let scheme = if facts.layout { "oci-archive" } else { "docker-archive" };
            let name = case.names.first().filter(|_| facts.images.len() > 1);
            let name = name.map(|name| format!(":{}", shell_word(name))).unwrap_or_default();
            format!("skopeo copy --all --preserve-digests {scheme}:{file}{name} docker://HOST/REPOSITORY:TAG")
        }
    }
}

/// What both programs over containerd's importer do: content of all platforms, names from the annotations.
fn containerd_names(facts: &Facts, case: &mut Case, unqualified: impl Fn(&str) -> Option<String>) {
    let mut seen: HashSet<String> = HashSet::new();
    for image in facts.own_images() {
        let name = image.full.clone().or_else(|| image.own.as_deref().and_then(&unqualified));
        let Some(name) = name else {
            let digest = image.root.digest().short();
            match &image.own {
                Some(own) => {
                    let reason = format!("{digest} is called {} only: it gets a name made of the date", escaped(own));
                    case.remark(Verdict::TakesPart, reason, NAME_IT);
                }
                None => {
                    case.remark(Verdict::TakesPart, format!("{digest} has no name: no image is made of it"), NAME_IT);
                }
            }
            continue;
        };
        if seen.insert(name.clone()) {
            case.names.push(name);
        } else {
            let reason = format!("{} stands there twice: the last one is taken", escaped(&name));
            case.remark(Verdict::TakesPart, reason, "make one index of them with `barge merge`");
        }
    }
}

fn docker(facts: &Facts, case: &mut Case) {
    if !facts.layout {
        return docker_format(facts, case);
    }
    // a tag alone becomes a repository of that name
    containerd_names(facts, case, |own| ImageName::parse(own).ok().map(|name| name.with_default_tag().to_string()));
    missing(facts, case, Verdict::TakesPart, "what is not there is left out");
}

fn docker_classic(facts: &Facts, case: &mut Case) {
    if facts.elements.is_none() {
        return case.refuses("it has no manifest.json, and the classic store reads nothing else", SAVE_AGAIN);
    }
    if facts.compression == Compression::Zstd {
        return case.refuses("it is packed with zstd", "write it without --compress zstd");
    }
    docker_format(facts, case);
    if case.verdict == Verdict::Refuses {
        return;
    }
    if facts.elements.iter().flatten().any(|element| element.zstd) {
        return case
            .refuses("layers are packed with zstd, which the classic store cannot read", "build them with gzip");
    }
    let several = facts.own_images().filter(|image| image.platforms.len() > 1).count();
    if facts.layout && several > 0 {
        case.remark(Verdict::TakesPart, "one platform of each image is loaded: the one in manifest.json", "");
    }
}

/// `manifest.json`, as docker reads it.
fn docker_format(facts: &Facts, case: &mut Case) {
    let elements = facts.elements.as_deref().unwrap_or_default();
    if elements.is_empty() {
        return case.refuses("its manifest.json lists no image", SAVE_AGAIN);
    }
    if elements.iter().any(|element| element.incomplete) {
        return case.refuses("manifest.json names files that are not there", SAVE_AGAIN);
    }
    let mut seen = HashSet::new();
    for tag in elements.iter().flat_map(|element| &element.tags) {
        let Ok(name) = ImageName::parse(tag) else {
            return case.refuses(format!("{} in manifest.json is no name", escaped(tag)), SAVE_AGAIN);
        };
        if !seen.insert(name.clone()) {
            let reason = format!("{name} stands twice in manifest.json: the last one is taken");
            case.remark(Verdict::TakesPart, reason, SAVE_AGAIN);
        } else {
            case.names.push(name.to_string());
        }
    }
    if elements.iter().any(|element| element.tags.is_empty()) {
        case.remark(Verdict::TakesPart, "an image without a name is loaded under its id only", NAME_IT);
    }
}

fn podman(facts: &Facts, case: &mut Case) {
    let single = if let [only] = facts.images.as_slice() { Some(only) } else { None };
    if let Some(only) = single.filter(|_| facts.layout) {
        return podman_single(only, facts, case);
    }
    if facts.elements.is_none() {
        let count = facts.images.len();
        let reason =
            format!("index.json has {count} entries and there is no manifest.json: podman takes one entry only");
        return case.refuses(reason, SAVE_AGAIN);
    }
    if facts.compression == Compression::Gzip {
        let reason = "it is packed with gzip, and podman cannot read manifest.json in it";
        return case.refuses(reason, "write it without --compress");
    }
    docker_format(facts, case);
    let short = |name: &str| !name.contains('/');
    let tags = facts.elements.iter().flatten().flat_map(|element| &element.tags);
    let short: Vec<String> = tags.filter(|tag| short(tag)).map(|tag| escaped(tag)).collect();
    if let Some(first) = short.first() {
        let reason = format!("{first} is a short name: podman calls it localhost/{first}");
        case.remark(Verdict::TakesPart, reason, SAVE_AGAIN);
    }
    if facts.layout && case.verdict != Verdict::Refuses {
        let reason = "with several images podman reads manifest.json: one platform, and not the digests of the layout";
        case.remark(Verdict::TakesPart, reason, "save one image a file, or copy it with skopeo");
    }
}

/// A layout with one entry: podman takes the platform of its machine.
fn podman_single(image: &Image, facts: &Facts, case: &mut Case) {
    let host = &facts.host;
    if image.platforms.len() > 1 && !image.platforms.iter().any(|platform| host.rank(platform).is_some()) {
        let there: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
        return case.refuses(format!("it has no image for {host}, only for {}", there.join(", ")), "");
    }
    match (&image.full, &image.own) {
        (Some(full), _) => case.names.push(full.clone()),
        (None, Some(own)) if own.contains('/') => case.names.push(own.clone()),
        (None, Some(own)) => {
            let name = if own.contains(':') { format!("localhost/{own}") } else { format!("localhost/{own}:latest") };
            case.remark(Verdict::TakesPart, format!("it will be called {}", escaped(&name)), NAME_IT);
            case.names.push(name);
        }
        (None, None) => case.remark(Verdict::TakesPart, "it is loaded without a name", NAME_IT),
    }
    if image.platforms.len() > 1 {
        case.remark(Verdict::TakesPart, format!("of its platforms only {host} is taken"), "");
    }
}

fn ctr(facts: &Facts, case: &mut Case) {
    if facts.compression != Compression::None {
        let reason = format!("it is packed with {}, which ctr 1.6 cannot read", facts.compression);
        return case.refuses(reason, "write it without --compress");
    }
    nerdctl(facts, case);
}

fn nerdctl(facts: &Facts, case: &mut Case) {
    if !facts.layout {
        return docker_format(facts, case);
    }
    // a tag alone is put behind a prefix made of the date
    containerd_names(facts, case, |own| own.contains(['/', ':', '@']).then(|| own.to_owned()));
    missing(facts, case, Verdict::Refuses, "with --all-platforms it looks for content that is not there");
}

fn missing(facts: &Facts, case: &mut Case, verdict: Verdict, what: &str) {
    let missing: usize = facts.images.iter().map(|image| image.missing).sum();
    if missing > 0 {
        let fix = "save it without --index keep, or with all its platforms";
        let reason = format!("{missing} pieces that it lists are not there: {what}");
        if verdict == Verdict::Refuses { case.refuses(reason, fix) } else { case.remark(verdict, reason, fix) }
    }
}

fn skopeo(facts: &Facts, case: &mut Case) {
    if !facts.layout {
        if facts.compression == Compression::Gzip {
            return case.refuses("a docker-archive that is packed with gzip it cannot read", "gunzip it first");
        }
        return docker_format(facts, case);
    }
    let mut seen: HashSet<&str> = HashSet::new();
    for image in &facts.images {
        let Some(own) = image.own.as_deref() else {
            if facts.images.len() > 1 {
                let digest = image.root.digest().short();
                let reason = format!("{digest} has no reference name: it can be had by its position only");
                case.remark(Verdict::TakesPart, reason, "oci-archive:FILE:@N");
            }
            continue;
        };
        if !is_reference(own) {
            let reason = format!("{} is no reference name that skopeo takes", escaped(own));
            case.remark(Verdict::TakesPart, reason, NAME_IT);
        } else if seen.insert(own) {
            case.names.push(own.to_owned());
        } else {
            let reason = format!("{} stands there twice: skopeo takes the first without a word", escaped(own));
            case.remark(Verdict::TakesPart, reason, SAVE_AGAIN);
        }
    }
    missing(facts, case, Verdict::Refuses, "with --all it looks for content that is not there");
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
}
