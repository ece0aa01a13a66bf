//! Under which names images are served.

use std::path::Path;

use super::route::is_repository;
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::reference::{ImageName, is_tag};

/// Docker Hub, which names without a registry mean.
const HUB: &str = "docker.io";

/// A repository as images are named: `ghcr.io/org/app`, or one called like a place, for images without a name of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RepositoryName {
    /// The registry that the images were named for; none for images without a name.
    registry: Option<String>,
    /// The repository there.
    path: String,
}

impl RepositoryName {
    /// Returns the repository of a name.
    pub(super) fn of(name: &ImageName) -> Self {
        Self { registry: Some(name.registry().to_owned()), path: name.repository().to_owned() }
    }

    /// Returns the repository for what has no name in a place: it is called like the directory or the file.
    pub(super) fn of_place(path: &Path) -> Self {
        // `.` and `..` are called like the directories that they are
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let endings = [".gz", ".zst", ".tgz", ".tar", ".oci", ".docker"];
        let bare = endings.iter().fold(&*name, |name, ending| name.strip_suffix(ending).unwrap_or(name));
        let (mut path, mut between) = (String::new(), String::new());
        for c in bare.chars() {
            if !(c.is_ascii_lowercase() || c.is_ascii_digit()) {
                between.push(c);
                continue;
            }
            if !between.is_empty() && !path.is_empty() {
                // what joins two parts stays if it may
                path.push_str(if matches!(&*between, "." | "_") { &between } else { "-" });
            }
            between.clear();
            path.push(c);
        }
        let path = if is_repository(&path) { path } else { "images".to_owned() };
        Self { registry: None, path }
    }

    /// Returns the registry, if it was named for one.
    pub(super) fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// Returns the repository without its registry.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Returns whether it is one of Docker Hub.
    pub(super) fn is_of_hub(&self) -> bool {
        self.registry() == Some(HUB)
    }

    /// Returns how it is listed: in full, where that can stand in a path.
    pub(super) fn listed(&self) -> String {
        let full = self.full();
        if is_repository(&full) { full } else { self.path.clone() }
    }

    /// Returns registry and repository.
    pub(super) fn full(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// Returns every name that a request may have for it: in full, without its registry, and as docker writes Docker Hub's own
    /// images.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = vec![self.full(), self.path.clone()];
        if let Some(own) = self.path.strip_prefix("library/").filter(|_| self.is_of_hub()) {
            names.push(own.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns how far a name in a request is from meaning this repository, among those that answer to it: in full; as an
    /// image of Docker Hub, which names without a registry mean; by leaving the registry out.
    pub(super) fn rank(&self, name: &str) -> u8 {
        match self.full() == name {
            true => 0,
            false if self.is_of_hub() => 1,
            false => 2,
        }
    }
}

/// Returns the registry that a mirror is asked for, as images are named for it.
pub(super) fn registry_of(namespace: &str) -> &str {
    match namespace {
        "registry-1.docker.io" | "index.docker.io" => HUB,
        other => other,
    }
}

/// Returns the repository that a name in a request for a registry's mirror means.
pub(super) fn mirrored(namespace: &str, name: &str) -> RepositoryName {
    let registry = registry_of(namespace);
    let library = registry == HUB && !name.contains('/');
    let path = if library { format!("library/{name}") } else { name.to_owned() };
    RepositoryName { registry: Some(registry.to_owned()), path }
}

/// How a top-level descriptor is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// In full; without a tag when it is known by its digest alone.
    Full(RepositoryName, Option<String>),
    /// By a tag alone.
    Tag(String),
    /// Not at all, or by what is no name of an image.
    Not,
}

/// Returns how a descriptor is named: as containerd writes it, else as the layout does.
pub(super) fn named(root: &Descriptor) -> Named {
    let full = |text: &str| {
        let name = ImageName::parse(text).ok()?.with_default_tag();
        Some(Named::Full(RepositoryName::of(&name), name.tag().map(str::to_owned)))
    };
    let own = |text: &str| match is_tag(text) {
        true => Some(Named::Tag(text.to_owned())),
        false => full(text),
    };
    let by_containerd = root.annotation(CONTAINERD_NAME).and_then(full);
    by_containerd.or_else(|| root.annotation(REF_NAME).and_then(own)).unwrap_or(Named::Not)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::OCI_INDEX;

    #[test]
    fn a_place_gives_its_name_to_what_has_none() {
        for (path, expected) in [
            ("/x/bundle.tar", "bundle"),
            ("/x/bundle.tar.gz", "bundle"),
            ("/x/dist", "dist"),
            ("/x/My App_v1.2.tar", "my-app_v1.2"),
            ("/x/--a--b--", "a-b"),
            ("/x/日本.tar", "images"),
            ("/", "images"),
        ] {
            let name = RepositoryName::of_place(Path::new(path));
            assert_eq!((name.full().as_str(), name.registry()), (expected, None), "{path}");
            assert!(is_repository(&name.listed()));
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(RepositoryName::of_place(Path::new(".")), RepositoryName::of_place(&here));
    }

    #[test]
    fn a_repository_answers_to_its_names_alone() {
        for (image, name, answers) in [
            ("ghcr.io/org/app", "org/app", true),
            ("ghcr.io/org/app", "ghcr.io/org/app", true),
            ("ghcr.io/org/app", "app", false),
            ("ghcr.io/org/app", "quay.io/org/app", false),
            ("docker.io/library/app", "app", true),
            ("docker.io/library/app", "library/app", true),
            ("docker.io/library/app", "docker.io/library/app", true),
            ("docker.io/library/app", "docker.io/app", false),
            ("ghcr.io/library/app", "app", false),
            ("docker.io/org/app", "app", false),
            ("localhost:5000/app", "app", true),
        ] {
            let repository = RepositoryName::of(&ImageName::parse(image).unwrap());
            assert_eq!(repository.names().contains(&name.to_owned()), answers, "{image} {name}");
        }
        assert_eq!(RepositoryName::of(&ImageName::parse("localhost:5000/app").unwrap()).listed(), "app");
        assert_eq!(mirrored("registry-1.docker.io", "app").full(), "docker.io/library/app");
        assert_eq!(mirrored("ghcr.io", "app").full(), "ghcr.io/app");
    }

    #[test]
    fn descriptors_are_named_by_containerd_or_by_the_layout() {
        let descriptor = |full: &str, own: &str| {
            let mut root = Descriptor::of(&OCI_INDEX.into(), b"{}");
            for (key, value) in [(CONTAINERD_NAME, full), (REF_NAME, own)] {
                if !value.is_empty() {
                    root = root.with_annotation(key, value);
                }
            }
            root
        };
        let full = |name: &str, tag: Option<&str>| {
            Named::Full(RepositoryName::of(&ImageName::parse(name).unwrap()), tag.map(str::to_owned))
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        for (by_containerd, own, expected) in [
            ("ghcr.io/org/app:v1", "v1", full("ghcr.io/org/app", Some("v1"))),
            ("", "ghcr.io/org/app:v1", full("ghcr.io/org/app", Some("v1"))),
            ("", "app:v1", full("app", Some("v1"))),
            ("", "org/app", full("docker.io/org/app", Some("latest"))),
            ("", "v1", Named::Tag("v1".to_owned())),
            ("not a name", "v1", Named::Tag("v1".to_owned())),
            ("", "", Named::Not),
            ("", "../../etc", Named::Not),
            ("", "Upper/Case:v1", Named::Not),
            (&format!("app@{digest}"), "", full("app", None)),
        ] {
            assert_eq!(named(&descriptor(by_containerd, own)), expected, "{by_containerd} {own}");
        }
    }
}
