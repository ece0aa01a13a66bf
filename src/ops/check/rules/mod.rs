//! What each loader does with an archive.
//!
//! | loader | seen with | where |
//! |---|---|---|
//! | docker, containerd store | by reading moby of 2026-08 (29): `daemon/containerd/image_exporter.go`, `image.go`; containerd 2.3 `client/import.go` | [`containerd`] |
//! | docker, classic store | by running 20.10.24; by reading `daemon/internal/image/tarexport/load.go` | here |
//! | podman | by running 4.3.1; by reading container-libs `common/libimage/{load,pull,normalize}.go` | [`containers`] |
//! | ctr | by running 1.6.20; by reading containerd 2.3 `core/images/archive/importer.go` | [`containerd`] |
//! | nerdctl | by reading 2.3 `pkg/imgutil/load/load.go`; containerd 2.3 `core/transfer/{local/import,image/imagestore}.go` | [`containerd`] |
//! | skopeo | by running 1.9.3; by reading image 5.36 `oci/layout/oci_transport.go`, `docker/internal/tarfile` | [`containers`] |
//!
//! `tests/interop` runs those that Debian has on archives of every form, and compares. Where versions are known to differ the
//! older one, which can do less, is believed.

mod containerd;
mod containers;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use super::facts::{Facts, Image, Needs};
use super::{Loader, Prediction, Remark, Verdict};
use crate::digest::Digest;
use crate::media::Compression;
use crate::reference::ImageName;
use crate::text::{escaped, shell_word};

const SAVE_AGAIN: &str = "write the file with `barge save`, which makes it load everywhere";
const NAME_IT: &str = "give it a full name: `barge copy FILE@N NEW.tar:HOST/REPOSITORY:TAG`, where N counts from 0";
const UNPACKED: &str = "write it without --compress";
const WHOLE: &str = "save it without --index keep, or with all its platforms";

/// What a loader will do, as it comes together.
struct Case {
    verdict: Verdict,
    names: Vec<String>,
    remarks: Vec<Remark>,
    commands: Vec<String>,
    /// What stands under a name so far.
    taken: HashMap<String, Option<Digest>>,
    /// Remarks and commands so far: there may be one for each of many images, and each counts once.
    said: HashSet<(String, String)>,
}

impl Case {
    fn new() -> Self {
        let (names, remarks, commands) = (Vec::new(), Vec::new(), Vec::new());
        Self { verdict: Verdict::Takes, names, remarks, commands, taken: HashMap::new(), said: HashSet::new() }
    }

    /// Notes that not all is taken, or not as one would think.
    fn partly(&mut self, reason: impl Into<String>, fix: &str) {
        self.remark(Verdict::TakesPart, reason, fix);
    }

    fn refuses(&mut self, reason: impl Into<String>, fix: &str) {
        self.names.clear();
        self.remark(Verdict::Refuses, reason, fix);
    }

    fn remark(&mut self, verdict: Verdict, reason: impl Into<String>, fix: &str) {
        self.verdict = self.verdict.max(verdict);
        let reason = reason.into();
        if self.said.insert((reason.clone(), fix.to_owned())) {
            self.remarks.push(Remark { reason, fix: (!fix.is_empty()).then(|| fix.to_owned()) });
        }
    }

    /// Notes a command that takes something out of it.
    fn command(&mut self, command: String) {
        if self.said.insert((command.clone(), String::new())) {
            self.commands.push(command);
        }
    }

    /// Notes a name. Returns false when it means something else already; no digest differs from every other.
    fn takes(&mut self, name: &str, digest: Option<Digest>) -> bool {
        match self.taken.get(name) {
            Some(before) => before.is_some() && *before == digest,
            None => {
                self.taken.insert(name.to_owned(), digest);
                self.names.push(name.to_owned());
                true
            }
        }
    }
}

/// Predicts what one loader does.
pub(super) fn predict(loader: Loader, facts: &Facts, file: &str) -> Prediction {
    let mut case = Case::new();
    if let Some(needs) = facts.needs {
        let file = shell_word(file);
        let load = format!("barge load -i {file} -o DIR");
        let there = |what: &str| format!("`{load}` where {what}, and `barge save` from there");
        let (reason, fix) = match needs {
            Needs::Base => {
                ("it is a delta: it leaves out what its base has, and only barge takes it", there("its base is"))
            }
            Needs::Parts => {
                ("it needs what is in the other parts, and only barge takes them", there("the other parts go"))
            }
            Needs::Compact => (
                "it is compact: only barge makes its layers again",
                format!(
                    "`barge save -o plain.tar {file}` writes one for others; `{load}` and `barge push` take this one"
                ),
            ),
            Needs::CompactAndBase => {
                ("it is compact: only barge makes its layers again, of layers that are not in it", there("these are"))
            }
        };
        case.refuses(reason, &fix);
    } else if facts.layout && facts.images.is_empty() {
        case.refuses("its index.json lists nothing", SAVE_AGAIN);
    } else {
        match loader {
            Loader::Docker => containerd::docker(facts, file, &mut case),
            Loader::DockerClassic => docker_classic(facts, file, &mut case),
            Loader::Podman => containers::podman(facts, file, &mut case),
            Loader::Ctr => containerd::ctr(facts, file, &mut case),
            Loader::Nerdctl => containerd::nerdctl(facts, file, &mut case),
            Loader::Skopeo => containers::skopeo(facts, file, &mut case),
        }
    }
    if case.verdict == Verdict::Refuses {
        case.commands.clear();
    }
    let Case { verdict, names, remarks, commands, .. } = case;
    Prediction { loader, verdict, names, remarks, commands }
}

/// `tarexport/load.go`: everything goes by `manifest.json`, and a layer is unpacked with what its first bytes say.
fn docker_classic(facts: &Facts, file: &str, case: &mut Case) {
    case.commands.push(format!("docker load -i {}", shell_word(file)));
    if facts.elements.is_none() {
        return case.refuses("it has no manifest.json, and the classic store reads nothing else", SAVE_AGAIN);
    }
    if facts.compression == Compression::Zstd {
        return case.refuses("it is packed with zstd", UNPACKED);
    }
    elements(facts, case, |tag| ImageName::parse(tag).ok());
    if case.verdict == Verdict::Refuses {
        return;
    }
    if facts.elements.iter().flatten().any(|element| element.zstd) {
        let reason = "layers are packed with zstd, which the classic store cannot read";
        return case.refuses(reason, "build them with gzip");
    }
    if facts.layout && facts.own_images().any(|image| image.platforms.len() > 1) {
        case.partly("one platform of each image is loaded: the one in manifest.json", "");
    }
}

/// `manifest.json`, which all read alike but for the names that they make of what stands there.
fn elements(facts: &Facts, case: &mut Case, full: impl Fn(&str) -> Option<ImageName>) {
    let elements = facts.elements.as_deref().unwrap_or_default();
    if elements.is_empty() {
        return case.refuses("its manifest.json lists no image", SAVE_AGAIN);
    }
    if elements.iter().any(|element| element.incomplete) {
        return case.refuses("manifest.json names files that are not there", SAVE_AGAIN);
    }
    for tag in elements.iter().flat_map(|element| &element.tags) {
        let Some(name) = full(tag).filter(|name| name.tag().is_some()) else {
            return case.refuses(format!("{} in manifest.json is no name with a tag", escaped(tag)), SAVE_AGAIN);
        };
        if !case.takes(&name.to_string(), None) {
            case.partly(format!("{name} stands twice in manifest.json: the last one is taken"), SAVE_AGAIN);
        }
    }
    if elements.iter().any(|element| element.tags.is_empty()) {
        case.partly("an image without a name is loaded under its id only", NAME_IT);
    }
}

/// Says how an image gets a name that all understand: in another file, since in this one the old name would stay.
fn name_it(file: &str, image: &Image) -> String {
    let from = shell_word(&format!("{file}@{}", &image.root.digest().hex()[..12]));
    format!("give it a full name: `barge copy {from} NEW.tar:HOST/REPOSITORY:TAG`")
}

/// Says how much is not there.
fn gone(facts: &Facts) -> Option<String> {
    let missing: usize = facts.images.iter().map(|image| image.missing).sum();
    match missing {
        0 => None,
        1 => Some("a piece that it lists is not there".to_owned()),
        more => Some(format!("{more} pieces that it lists are not there")),
    }
}
