//! Where credentials come from and where a login puts them, with the files and the programs of docker and podman.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod asked;
mod found;
mod interop;
mod kept;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use barge::store::registry::credentials::{AuthFile, Credential, Found, Keyring, Secret};

/// A directory for files with credentials, and for helpers.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("bin")).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> AuthFile {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        self.file(name)
    }

    pub(crate) fn file(&self, name: &str) -> AuthFile {
        AuthFile::named(&self.path(name))
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Makes a credential helper of a shell script.
    pub(crate) fn helper(&self, name: &str, script: &str) {
        let path = self.path("bin").join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes a credential helper that keeps what it is given, in files beside it, and notes what it is asked.
    pub(crate) fn keeping_helper(&self, name: &str) {
        let kept = self.path("kept");
        fs::create_dir_all(&kept).unwrap();
        let script = r#"
            input=$(cat)
            server=$(printf %s "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/')
            file=KEPT/$(printf %s "$server" | tr / _)
            echo "$1 $server" >> KEPT/log
            case $1 in
                store) printf %s "$input" > "$file" ;;
                get) [ -e "$file" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$file" ;;
                erase) [ -e "$file" ] || { echo "credentials not found in native keychain"; exit 1; }; rm "$file" ;;
            esac"#;
        self.helper(name, &script.replace("KEPT", kept.to_str().unwrap()));
    }

    /// A keyring that searches these files, and has the helpers of this place.
    pub(crate) fn keyring(&self, files: &[AuthFile]) -> Keyring {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        Keyring { files: files.to_vec(), helper_path: Some(path.into()), ..Keyring::default() }
    }
}

pub(crate) fn password(username: &str, password: &str) -> Credential {
    Credential::Password { username: username.to_owned(), password: Secret::new(password) }
}

/// Writes what was found in a short way.
pub(crate) fn short(found: Option<&Found>) -> String {
    match found.map(|found| &found.credential) {
        None => "nothing".to_owned(),
        Some(Credential::Password { username, password }) => format!("{username} {}", password.expose()),
        Some(Credential::IdentityToken(token)) => format!("identity {}", token.expose()),
        Some(Credential::RegistryToken(token)) => format!("bearer {}", token.expose()),
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Writes an error as a user reads it.
pub(crate) fn told(error: &barge::store::StoreError) -> String {
    format!("{error}: {} [{}] {:?}", barge::store::causes(error).join(": "), error.class(), error.hint())
}
