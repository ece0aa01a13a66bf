//! What a file with credentials says: containers-auth.json(5), and docker's `config.json`.
//!
//! Nothing here quotes a value of the file: it may be a password.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rustix::fs::OFlags;
use serde_json::{Map, Value};

use super::key::{Key, Spelled};
use super::{AuthFile, Credential, Form, Secret, unusable};
use crate::json;
use crate::store::{Reason, StoreError};
use crate::text::quoted;

/// How large a file with credentials may be, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// As Go reads base64: the padding has to be right or absent, and what follows the last whole byte is no matter.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The program that keeps the credentials of a registry, and what it is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// What stands after `docker-credential-`.
    pub(super) name: String,
    /// What the program calls the registry.
    pub(super) server: String,
}

/// Where the credentials of a registry are, as far as a file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// In a program, and nowhere else: `credHelpers`.
    By(Asked),
    /// In the file, and else in a program: `credsStore`.
    HereOrBy(Asked),
    /// In the file.
    Here,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Document<'a> {
    file: &'a AuthFile,
    value: Value,
}

impl<'a> Document<'a> {
    /// Reads a file; `None` when it is not there.
    pub(super) fn read(file: &'a AuthFile) -> Result<Option<Self>, StoreError> {
        let path = &file.path;
        match open(path, File::options().read(true)) {
            Ok(opened) => Self::parse(file, &read_all(&opened, path)?).map(Some),
            // $DOCKER_CONFIG may be /dev/null, and nothing is below it
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// Reads text that stands in a file. An empty one says nothing, as docker takes it.
    pub(super) fn parse(file: &'a AuthFile, text: &[u8]) -> Result<Self, StoreError> {
        let text = if text.trim_ascii().is_empty() { b"{}" } else { text };
        let value = json::parse(text).map_err(|error| unusable(&file.path, error))?;
        if !value.is_object() {
            return Err(unusable(&file.path, "it is no JSON object"));
        }
        Ok(Self { file, value })
    }

    /// Returns the entries of `auths`.
    fn auths(&self) -> Result<Option<&Map<String, Value>>, StoreError> {
        if self.file.form == Form::Legacy { Ok(self.value.as_object()) } else { self.map("auths") }
    }

    fn map(&self, name: &str) -> Result<Option<&Map<String, Value>>, StoreError> {
        let Some(value) = field(self.value.as_object(), name) else { return Ok(None) };
        value.as_object().map(Some).ok_or_else(|| unusable(&self.file.path, format!("{name} is no object")))
    }

    /// Returns where the credentials of a host are.
    pub(super) fn kept(&self, host: &str) -> Result<Kept, StoreError> {
        if self.file.form == Form::Legacy {
            return Ok(Kept::Here);
        }
        let key = Key { host, namespace: "" };
        let no_text = |name: &str| unusable(&self.file.path, format!("{name} is no text"));
        if let Some(helpers) = self.map("credHelpers")? {
            let same = helpers.iter().filter(|(name, _)| Spelled::read(name, self.file.form).is(key));
            if let Some((server, name)) = same.min_by_key(|(name, _)| self.rank(key, name)) {
                let name = name.as_str().ok_or_else(|| no_text("an item of credHelpers"))?;
                let asked = Asked { name: name.to_owned(), server: server.clone() };
                // an empty name takes a registry away from credsStore
                return Ok(if name.is_empty() { Kept::Here } else { Kept::By(asked) });
            }
        }
        let Some(store) = field(self.value.as_object(), "credsStore") else { return Ok(Kept::Here) };
        let name = store.as_str().ok_or_else(|| no_text("credsStore"))?;
        // docker is whom such a program knows: it asks for Docker Hub by docker's key, in whatever file it is named
        let server = key.spellings(Form::Docker).swap_remove(0);
        Ok(if name.is_empty() { Kept::Here } else { Kept::HereOrBy(Asked { name: name.to_owned(), server }) })
    }

    /// Returns how other programs would find a key: a smaller number is found first.
    fn rank(&self, key: Key<'_>, spelled: &str) -> usize {
        let spellings = key.spellings(self.file.form);
        spellings.iter().position(|spelling| spelling == spelled).unwrap_or(spellings.len())
    }

    /// Returns the credential in the closest entry that covers a repository and is not empty.
    pub(super) fn entry(&self, host: &str, repository: &str) -> Result<Option<Credential>, StoreError> {
        let key = Key { host, namespace: "" };
        let covering = self.auths()?.into_iter().flatten().filter_map(|(name, entry)| {
            let closeness = Spelled::read(name, self.file.form).covers(host, repository)?;
            Some((closeness, name, entry))
        });
        let mut covering: Vec<_> = covering.collect();
        covering.sort_by_key(|(closeness, name, _)| (usize::MAX - closeness, self.rank(key, name)));
        for (_, name, entry) in covering {
            let credential = credential(entry).map_err(|Reason(wrong)| {
                unusable(&self.file.path, format!("the entry of {} is wrong: {wrong}", quoted(name)))
            })?;
            if credential.is_some() {
                return Ok(credential);
            }
        }
        Ok(None)
    }

    /// Returns the keys of the entries for which a test holds, as they stand.
    pub(super) fn keys(&self, test: impl Fn(Spelled<'_>) -> bool) -> Result<Vec<&str>, StoreError> {
        let names = self.auths()?.into_iter().flat_map(Map::keys);
        Ok(names.map(String::as_str).filter(|name| test(Spelled::read(name, self.file.form))).collect())
    }

    /// Returns how the file spells one of its fields: upper and lower case are the same to Go.
    pub(super) fn spelled<'n>(&'n self, name: &'n str) -> &'n str {
        let names = self.value.as_object().into_iter().flat_map(Map::keys);
        names.map(String::as_str).find(|field| field.eq_ignore_ascii_case(name)).unwrap_or(name)
    }

    /// Returns the fields of an entry that say who somebody is.
    pub(super) fn telling(&self, name: &str) -> Result<Vec<&str>, StoreError> {
        let entry = self.auths()?.and_then(|auths| auths.get(name)).and_then(Value::as_object);
        let names = entry.into_iter().flat_map(Map::keys).map(String::as_str);
        Ok(names.filter(|name| TELLING.iter().any(|telling| name.eq_ignore_ascii_case(telling))).collect())
    }

    /// Returns whether an entry is there and empty: what stands for a credential that a program keeps.
    pub(super) fn is_marked(&self, name: &str) -> Result<bool, StoreError> {
        let is_there = self.auths()?.is_some_and(|auths| auths.contains_key(name));
        Ok(is_there && self.telling(name)?.is_empty())
    }
}

/// The fields of an entry that say who somebody is.
const TELLING: [&str; 5] = ["auth", "username", "password", "identitytoken", "registrytoken"];

/// Returns a field, whatever its case: Go, in which docker and podman are written, does not look at it. `null` is none.
pub(super) fn field<'v>(fields: Option<&'v Map<String, Value>>, name: &str) -> Option<&'v Value> {
    let mut fields = fields?.iter();
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).filter(|value| !value.is_null())
}

/// Reads an entry of `auths`; one without content is none.
fn credential(entry: &Value) -> Result<Option<Credential>, Reason> {
    if entry.is_null() {
        return Ok(None);
    }
    let fields = entry.as_object().ok_or("it is no object")?;
    let text = |name: &str| match field(Some(fields), name) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Reason(format!("{name} is no text"))),
    };
    if let Some(token) = text("registrytoken")? {
        return Ok(Some(Credential::RegistryToken(Secret::new(token))));
    }
    if let Some(token) = text("identitytoken")? {
        return Ok(Some(Credential::IdentityToken(Secret::new(token))));
    }
    let both = match text("auth")? {
        Some(encoded) => Some(decoded(encoded)?),
        None => text("username")?.map(str::to_owned).zip(text("password")?.map(str::to_owned)),
    };
    Ok(both.map(|(username, password)| Credential::Password { username, password: Secret::new(password) }))
}

/// Reads `auth`: user, colon, password, in base64.
fn decoded(encoded: &str) -> Result<(String, String), Reason> {
    let dense: String = encoded.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let bytes = BASE64.decode(dense).map_err(|_| "auth is not base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "auth is not UTF-8 in base64")?;
    let (username, password) = text.split_once(':').ok_or("auth has no colon between user and password")?;
    // docker of old filled the space up that it had reckoned
    Ok((username.to_owned(), password.trim_matches('\0').to_owned()))
}

/// Returns whether an error says that a file is not there.
pub(super) fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Opens a file, and does not wait for whoever should write to a pipe.
pub(super) fn open(path: &Path, options: &mut std::fs::OpenOptions) -> std::io::Result<File> {
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()).open(path)
}

/// Reads the whole of a file, if it is one and not too large.
pub(super) fn read_all(file: &File, path: &Path) -> Result<Vec<u8>, StoreError> {
    let failed = |error| StoreError::io("read", path)(error);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(unusable(path, "it is no regular file"));
    }
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST {
        return Err(unusable(path, format!("it has more than {LARGEST} bytes")));
    }
    Ok(text)
}
