//! What the programs over containerd's importer do: docker with the containerd store, ctr, nerdctl.
//!
//! An image is made for every entry of `index.json` that has a name, also for a signature that has one; the name in
//! containerd's annotation is taken as it stands, and the layout's own goes through a translation that differs.

use std::collections::HashMap;

use super::super::facts::{Facts, Image};
use super::{Case, NAME_IT, UNPACKED, WHOLE, elements, gone, name_it};
use crate::digest::Digest;
use crate::media::Compression;
use crate::ops::check::Verdict;
use crate::reference::ImageName;
use crate::text::{escaped, shell_word};

/// Adds a name, unless another image has it: then the later one gets it (`client/import.go`, `is.Update`).
fn take(case: &mut Case, name: &str, image: &Image) -> bool {
    let is_free = case.takes(name, Some(*image.root.digest()));
    if !is_free {
        let reason = format!("{} stands there for several images: the last one is taken", escaped(name));
        case.partly(reason, "make one index of them with `barge merge`");
    }
    is_free
}

/// `LoadImage`: names are not translated at all, and one that is no full reference is never found again, since docker
/// completes what it is asked for (`resolveImage`). Whatever has no name, or none that can be parsed, gets one of its digest
/// (`WithDigestRef`, `WithSkipDigestRef`). What is missing is skipped (`WithSkipMissing`).
pub(super) fn docker(facts: &Facts, file: &str, case: &mut Case) {
    case.commands.push(format!("docker load -i {}", shell_word(file)));
    if !facts.layout {
        return elements(facts, case, |tag| ImageName::parse(tag).ok());
    }
    for image in facts.own_images() {
        let Some(name) = image.full.as_deref().or(image.own.as_deref()) else {
            let reason = format!("{} has no name: it is loaded under its id only", image.root.digest().short());
            case.partly(reason, &name_it(file, image));
            continue;
        };
        let is_full = |parsed: ImageName| parsed.tag().is_some() && parsed.to_string() == name;
        if ImageName::parse(name).is_ok_and(is_full) {
            take(case, name, image);
        } else {
            let reason = format!("{} is no full name: docker will find the image by its id only", escaped(name));
            case.partly(reason, &name_it(file, image));
        }
    }
    if let Some(gone) = gone(facts) {
        case.partly(format!("{gone}: it is loaded without them"), WHOLE);
    }
}

/// `ctr images import`, whose 1.6 has the client do all the work, and unpacks each image for its machine at the end.
pub(super) fn ctr(facts: &Facts, file: &str, case: &mut Case) {
    if facts.compression != Compression::None {
        let reason = format!("it is packed with {}, which ctr 1.6 cannot read", facts.compression);
        return case.refuses(reason, UNPACKED);
    }
    let mut options = " --all-platforms";
    if facts.layout {
        // `AddRefPrefix`
        names(facts, file, case, "import-YYYY-MM-DD", "no image is made of it");
        if facts.images.iter().all(|image| image.full.is_none() && image.own.is_none()) {
            return case.refuses("nothing in it has a name: ctr makes no image, and says nothing", NAME_IT);
        }
        match unpacking(facts) {
            Unpacking::Works => {}
            Unpacking::Fails(why) => {
                case.partly(format!("{why}: ctr fails after it has imported all, unless --no-unpack is given"), "");
                options = " --all-platforms --no-unpack";
            }
        }
        sparse(facts, case, &mut options);
    } else {
        elements(facts, case, |tag| ImageName::parse(tag).ok());
        if case.names.is_empty() {
            case.refuses("nothing in it has a name: ctr makes no image, and says nothing", NAME_IT);
        }
    }
    case.commands.push(format!("ctr -n k8s.io images import{options} {}", shell_word(file)));
}

/// `nerdctl load`, which has had the daemon do the work since 2.3: it reads packed archives, and unpacks only what suits the
/// machine. It adds `import@DIGEST` for the whole `index.json`.
pub(super) fn nerdctl(facts: &Facts, file: &str, case: &mut Case) {
    let mut options = " --all-platforms";
    if facts.layout {
        // `WithDigestRef("import", ...)` comes first, and also makes a name of a tag
        names(facts, file, case, "import", "it gets the name import@DIGEST");
        sparse(facts, case, &mut options);
    } else {
        elements(facts, case, |tag| ImageName::parse(tag).ok());
    }
    case.commands.push(format!("nerdctl load{options} -i {}", shell_word(file)));
}

/// Names for every entry; a lone tag is put behind a prefix, which depends on the day and the version.
fn names(facts: &Facts, file: &str, case: &mut Case, prefix: &str, unnamed: &str) {
    for image in &facts.images {
        let own = image.own.as_deref();
        match image.full.as_deref().or(own.filter(|own| own.contains(['/', ':', '@']))) {
            Some(name) => {
                take(case, name, image);
            }
            None => match own {
                Some(tag) => {
                    let tag = escaped(tag);
                    case.partly(
                        format!("{tag} is a tag only: it will be called {prefix}:{tag}"),
                        &name_it(file, image),
                    );
                }
                None if image.attached => {}
                None => {
                    let reason = format!("{} has no name: {unnamed}", image.root.digest().short());
                    case.partly(reason, &name_it(file, image));
                }
            },
        }
    }
}

enum Unpacking {
    Works,
    Fails(String),
}

/// Says whether every image can be unpacked on the machine. A manifest that stands in `index.json` itself is unpacked
/// whatever it is for; out of an index there must be one for the machine.
fn unpacking(facts: &Facts) -> Unpacking {
    let host = &facts.host;
    let mut seen: HashMap<&str, &Digest> = HashMap::new();
    for image in &facts.images {
        let Some(name) = image.full.as_deref().or(image.own.as_deref()) else { continue };
        let what = escaped(name);
        if image.listed.is_some() && image.listed_for(host).is_none() {
            return Unpacking::Fails(format!("{what} has no image for {host}"));
        }
        if image.platforms.is_empty() {
            return Unpacking::Fails(format!("{what} is no image that can be unpacked"));
        }
        // the content of the one that loses its name may be collected before it is unpacked
        if *seen.entry(name).or_insert_with(|| image.root.digest()) != image.root.digest() {
            return Unpacking::Fails(format!("{what} loses its name to another image"));
        }
    }
    Unpacking::Works
}

/// With `--all-platforms` everything must be there that is listed; without, what suits the machine.
fn sparse(facts: &Facts, case: &mut Case, options: &mut &str) {
    let Some(gone) = gone(facts) else { return };
    let host = &facts.host;
    let suits = |image: &Image| image.missing == 0 || image.listed_for(host).is_some_and(|listed| listed.whole);
    if case.verdict != Verdict::Refuses && facts.images.iter().all(suits) {
        case.partly(format!("{gone}: only what is for {host} can be imported, without --all-platforms"), WHOLE);
        *options = "";
    } else {
        case.refuses(format!("{gone}, also of what is for {host}"), WHOLE);
    }
}
