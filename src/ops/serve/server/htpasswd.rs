//! The file with users and passwords that Apache's `htpasswd -B` writes: `name:$2y$...` on each line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;

use bcrypt::HashParts;
use rustix::fs::OFlags;

use crate::error::Class;
use crate::ops::Error;
use crate::store::StoreError;
use crate::store::archive::Identity;
use crate::text::{escaped, quoted, shell_word};

/// The largest file that is read.
const LARGEST: u64 = 1024 * 1024;

/// The most users.
const MOST_USERS: usize = 10_000;

/// The highest cost: each step doubles the time, and this takes some seconds.
const HIGHEST_COST: u32 = 16;

/// Users, and what their passwords are checked against.
#[derive(Debug)]
pub(super) struct Users {
    hashes: HashMap<Arc<str>, String>,
    /// Takes as long as any of them, and no password is right for it.
    nobody: String,
}

impl Users {
    /// Reads a file, and says which state of it was read.
    ///
    /// # Errors
    /// When it cannot be read, or a line is not what it must be.
    pub(super) fn read(path: &Path) -> Result<(Self, Identity), Error> {
        let io = |error: io::Error| StoreError::io("read", path)(error);
        // a pipe that nobody writes to would hang
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(unusable(path, "it is no regular file".to_owned(), None));
        }
        let mut raw = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut raw).map_err(io)?;
        if raw.len() as u64 > LARGEST {
            return Err(unusable(path, "it is larger than 1 MiB".to_owned(), None));
        }
        Ok((Self::parse(&raw, path)?, Identity::of(&metadata)))
    }

    fn parse(raw: &[u8], path: &Path) -> Result<Self, Error> {
        let word = shell_word(&path.to_string_lossy());
        let at = |number: usize, reason: &str, hint: &str| {
            unusable(path, format!("line {number}: {reason}"), Some(hint.to_owned()))
        };
        let mut hashes: HashMap<Arc<str>, String> = HashMap::new();
        let mut highest = 4;
        for (number, line) in raw.split(|byte| *byte == b'\n').enumerate().map(|(index, line)| (index + 1, line)) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let expected = format!("expected is NAME:HASH, as `htpasswd -B {word} NAME` writes it");
            let Ok(line) = std::str::from_utf8(line) else { return Err(at(number, "it is not UTF-8", &expected)) };
            let Some((name, hash)) = line.split_once(':') else { return Err(at(number, "it has no colon", &expected)) };
            if name.is_empty() {
                return Err(at(number, "it has no name before the colon", &expected));
            }
            let again = format!("set the password of {} again: htpasswd -B {word} {}", quoted(name), shell_word(name));
            let cost = match HashParts::from_str(hash) {
                Ok(parts) if ["$2y$", "$2a$", "$2b$"].iter().any(|kind| hash.starts_with(kind)) => parts.get_cost(),
                _ => return Err(at(number, "the password is not hashed with bcrypt", &again)),
            };
            if !(4..=HIGHEST_COST).contains(&cost) {
                let reason = format!("its cost is {cost}, and 4 to {HIGHEST_COST} is allowed");
                return Err(at(number, &reason, &again));
            }
            if hashes.insert(name.into(), hash.to_owned()).is_some() {
                let reason = format!("{} stands there twice", quoted(name));
                return Err(at(number, &reason, "take one of both lines out"));
            }
            if hashes.len() > MOST_USERS {
                return Err(unusable(path, format!("it has more than {MOST_USERS} users"), None));
            }
            highest = highest.max(cost);
        }
        if hashes.is_empty() {
            let hint = format!("add one: htpasswd -B {word} NAME");
            return Err(unusable(path, "it has no user".to_owned(), Some(hint)));
        }
        Ok(Self { hashes, nobody: format!("$2b${highest:02}${:.<53}", "") })
    }

    /// Returns the name of a user as it is kept, and whether the password is theirs. Takes long on purpose, also for a name
    /// that nobody has.
    pub(super) fn check(&self, name: &str, password: &[u8]) -> Option<Arc<str>> {
        // bcrypt sees no more than 72 bytes, and begins again after a NUL: what is longer would be right when its beginning is
        let seen_whole = password.len() <= 72 && !password.contains(&0);
        let password = if seen_whole { password } else { b"" };
        let found = self.hashes.get_key_value(name);
        let hash = found.map_or(&self.nobody, |(_, hash)| hash);
        let right = bcrypt::verify(password, hash).unwrap_or(false);
        found.filter(|_| right && seen_whole).map(|(name, _)| Arc::clone(name))
    }
}

fn unusable(path: &Path, reason: String, hint: Option<String>) -> Error {
    Error::Setup {
        class: Class::Content,
        message: format!("cannot use {} for passwords", escaped(&path.to_string_lossy())),
        cause: Some(reason),
        hint,
    }
}
