//! What no result can go to, and what to do instead.

use std::path::Path;

use super::super::Error;
use crate::reference::ImageName;
use crate::text::escaped;

pub(super) fn no_current_layout() -> Error {
    Error::Absent {
        message: "cannot tell where the result should go: there is no current layout".to_owned(),
        cause: None,
        hint: Some("say it with -o PLACE (or -L DIR, or BARGE_LAYOUT)".to_owned()),
    }
}

pub(super) fn no_registry(name: &ImageName) -> Error {
    Error::Unsupported {
        message: format!("cannot write to docker://{name} here"),
        cause: Some("what is made is kept on disk first, and published as a whole".to_owned()),
        hint: Some(format!("write a layout or an archive, then `barge push` it to {name}")),
    }
}

pub(super) fn no_archive(path: &Path, cause: &str, hint: &str) -> Error {
    Error::Unsupported {
        message: format!("cannot write an archive to {}", escaped(&path.to_string_lossy())),
        cause: Some(cause.to_owned()),
        hint: Some(hint.to_owned()),
    }
}

pub(super) fn only_hybrid(path: &Path) -> Error {
    Error::Unsupported {
        message: format!("cannot write docker-archive:{}", escaped(&path.to_string_lossy())),
        cause: Some("it can hold one platform of an image only, and would change its digest".to_owned()),
        hint: Some(
            "write FILE.tar: it is an OCI archive with a manifest.json, which `docker load` takes too".to_owned(),
        ),
    }
}
