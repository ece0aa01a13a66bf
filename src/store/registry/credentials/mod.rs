//! Where the password for a registry comes from, and where a login puts it.
//!
//! barge shares its logins with docker, podman, skopeo and buildah: it reads the files that they write
//! ([`Directories::files`]), asks the helpers that these files name, and writes what they can read.
//!
//! # Reading
//!
//! What the user gave on the command line wins; else each file is looked into in turn, and in a file (as in
//! containers-auth.json(5) and docker's `config.json`):
//!
//! 1. `credHelpers` for the host: that helper alone knows, and when it does not, the next file is looked into;
//! 2. the entry of `auths` whose key is the longest that covers the repository: `HOST/A/B`, `HOST/A`, `HOST`;
//! 3. `credsStore`, the helper for everything else.
//!
//! An entry without content only says that a helper knows more. A file that cannot be read or understood is an error, not
//! a file that says nothing: else a password would silently not be used.
//!
//! # Writing
//!
//! See [`Keyring::file_to_write`] for which file a login goes to. A file is edited, never written anew: other entries, other
//! fields and their order stay. Where the file names a helper for the registry, the helper keeps the password.

mod bounded;
mod document;
mod edit;
mod helper;
mod key;
mod save;
mod search;
mod secret;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use self::document::{Asked, Document, Kept};
use self::edit::Change;
use self::helper::Helper;
use self::key::Key;
pub use self::search::{AuthFile, Directories, Form};
pub use self::secret::{Credential, Secret};
use crate::error::Class;
use crate::store::{Location, Reason, StoreError, directory_of};
use crate::text::{escaped, quoted};

/// Everything that is known about where credentials are.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    /// `--creds`: a user and a password that win over everything, for whichever host is asked for. The caller sees to it
    /// that only one host is.
    pub given: Option<(String, Secret)>,
    /// `--authfile` or `$REGISTRY_AUTH_FILE`: the only file, which has to be there to be read.
    pub authfile: Option<PathBuf>,
    /// The files to search when none is given: [`Directories::files`].
    pub files: Vec<AuthFile>,
    /// The directories in which credential helpers are looked for: `$PATH`.
    pub helper_path: Option<OsString>,
}

/// What keeps a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Nothing: it was given on the command line.
    Given,
    /// A file, in which it can be read by whoever can read the file.
    File(PathBuf),
    /// A credential helper.
    Helper {
        /// The program: `docker-credential-pass`.
        program: String,
        /// The file that names it.
        file: PathBuf,
    },
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &Path| escaped(&path.to_string_lossy());
        match self {
            Self::Given => f.write_str("--creds"),
            Self::File(path) => f.write_str(&shown(path)),
            Self::Helper { program, file } => write!(f, "{} (named in {})", escaped(program), shown(file)),
        }
    }
}

/// A credential and what kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// Where it was: for the message when the registry refuses it.
    pub keeper: Keeper,
}

impl Keyring {
    /// Looks for the credential for a repository. `registry` is `HOST[:PORT]` as users write it, `docker.io` for Docker
    /// Hub. A helper is asked every time: keep the answer.
    ///
    /// # Errors
    /// When a file on the way is not what it must be, cannot be read, or is the `authfile` and not there; when a helper is
    /// not there or fails.
    pub fn find(&self, registry: &str, repository: &str) -> Result<Option<Found>, StoreError> {
        if let Some((username, password)) = &self.given {
            let credential = Credential::Password { username: username.clone(), password: password.clone() };
            return Ok(Some(Found { credential, keeper: Keeper::Given }));
        }
        for file in self.searched().iter() {
            match Document::read(file)? {
                Some(document) => {
                    if let Some(found) = self.find_in(&document, file, registry, repository)? {
                        return Ok(Some(found));
                    }
                }
                None if self.authfile.is_some() => return Err(absent(&file.path)),
                None => {}
            }
        }
        Ok(None)
    }

    fn find_in(
        &self,
        document: &Document<'_>,
        file: &AuthFile,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Found>, StoreError> {
        let kept = document.kept(registry)?;
        if !matches!(kept, Kept::By(_))
            && let Some(credential) = document.entry(registry, repository)?
        {
            return Ok(Some(Found { credential, keeper: Keeper::File(file.path.clone()) }));
        }
        let (Kept::By(asked) | Kept::HereOrBy(asked)) = kept else { return Ok(None) };
        let credential = self.helper(&asked, registry, file).get()?;
        Ok(credential.map(|credential| Found { credential, keeper: keeper(&asked, file) }))
    }

    fn helper<'a>(&'a self, asked: &'a Asked, host: &'a str, file: &'a AuthFile) -> Helper<'a> {
        Helper::new(asked, host, &file.path, self.helper_path.as_deref().unwrap_or_default())
    }

    fn searched(&self) -> Cow<'_, [AuthFile]> {
        match &self.authfile {
            Some(path) => Cow::Owned(vec![AuthFile::named(path)]),
            None => Cow::Borrowed(&self.files),
        }
    }

    /// Returns the file that a login to a registry, or a part of it (`HOST[:PORT][/NAMESPACE...]`), changes, and a logout:
    ///
    /// 1. the `authfile`, there or not;
    /// 2. the first file that has an entry or a helper for just this: a login elsewhere would not be seen;
    /// 3. docker's file, if it is there or comes first, which says that `$DOCKER_CONFIG` is set: docker reads no other one,
    ///    and podman, skopeo and buildah read it too;
    /// 4. the first file that is there: one of podman's, on a machine without docker;
    /// 5. docker's file, so that every tool has the login, and still has it after a restart.
    ///
    /// What stands for a part of a registry goes to podman's files only: docker would take it for the whole.
    ///
    /// # Errors
    /// When a file on the way is not what it must be or cannot be read, or when there is no file to choose.
    pub fn file_to_write(&self, registry: &str) -> Result<AuthFile, StoreError> {
        if let Some(path) = &self.authfile {
            return Ok(AuthFile::named(path));
        }
        let key = typed(registry, "log in to")?;
        let fits = |file: &&AuthFile| match file.form {
            Form::Containers => true,
            Form::Docker => key.namespace.is_empty(),
            Form::Legacy => false,
        };
        let files: Vec<&AuthFile> = self.files.iter().filter(fits).collect();
        for file in &files {
            let Some(document) = Document::read(file)? else { continue };
            let helped = key.namespace.is_empty() && matches!(document.kept(key.host)?, Kept::By(_));
            if helped || !document.keys(|spelled| spelled.is(key))?.is_empty() {
                return Ok((*file).clone());
            }
        }
        let is_docker = |file: &&&AuthFile| file.form == Form::Docker;
        let is_there = |file: &&&AuthFile| file.path.exists();
        let first = files.first().filter(is_docker);
        let docker = files.iter().find(is_docker);
        let chosen = first.or_else(|| docker.filter(is_there)).or_else(|| files.iter().find(is_there)).or(docker);
        chosen.or(files.first()).map(|file| (*file).clone()).ok_or_else(|| StoreError::Absent {
            what: "a place for the file with the credentials".to_owned(),
            place: Location::Registry(registry.to_owned()),
            hint: Some("set $HOME, or name the file with --authfile".to_owned()),
        })
    }

    /// Keeps a credential for a registry, or a part of it (`HOST[:PORT][/NAMESPACE...]`), in a file or in the helper that
    /// the file names; whatever else the file had for just this is gone. Returns what keeps it.
    ///
    /// # Errors
    /// When the file is not what it must be, cannot be read or written, or is held by another process for too long; when
    /// the helper fails; when neither can keep such a credential.
    pub fn store(&self, registry: &str, credential: &Credential, file: &AuthFile) -> Result<Keeper, StoreError> {
        const ACTION: &str = "store credentials for";
        let key = typed(registry, ACTION)?;
        let cannot = |reason: &str, hint: &str| Err(refused(ACTION, registry, file, reason, hint));
        match (file.form, credential) {
            (Form::Legacy, _) => return cannot(LEGACY, ELSEWHERE),
            (Form::Docker, _) if !key.namespace.is_empty() => {
                return cannot("docker would use them for all of the registry", ELSEWHERE);
            }
            (_, Credential::Password { username, .. }) if username.contains(':') => {
                return cannot("a user name ends at its first colon there", "check the user name");
            }
            _ => {}
        }
        let document = Document::read(file)?;
        let kept = document.as_ref().map_or(Ok(Kept::Here), |document| document.kept(key.host))?;
        let asked = match kept {
            Kept::By(asked) if !key.namespace.is_empty() => {
                return cannot(&format!("docker-credential-{} keeps them for whole registries", asked.name), ELSEWHERE);
            }
            Kept::By(asked) | Kept::HereOrBy(asked) if key.namespace.is_empty() => asked,
            _ => {
                save::change(&file.path, |text| edit::edited(file, text, key, Change::Keep(credential)))?;
                return Ok(Keeper::File(file.path.clone()));
            }
        };
        self.helper(&asked, key.host, file).store(credential)?;
        save::change(&file.path, |text| edit::edited(file, text, key, Change::Mark(&asked.server)))?;
        Ok(keeper(&asked, file))
    }

    /// Forgets what a file, and the helper that it names, keep for a registry, or a part of it (`HOST[:PORT][/NAMESPACE...]`).
    /// Returns what has kept something; other files may have more, which [`Keyring::find`] would tell.
    ///
    /// # Errors
    /// When the file is not what it must be, cannot be read or written, or is held by another process for too long; when
    /// the helper fails.
    pub fn erase(&self, registry: &str, file: &AuthFile) -> Result<Vec<Keeper>, StoreError> {
        const ACTION: &str = "erase credentials for";
        let key = typed(registry, ACTION)?;
        if file.form == Form::Legacy {
            return Err(refused(ACTION, registry, file, LEGACY, "remove them with an editor"));
        }
        let Some(document) = Document::read(file)? else { return Ok(Vec::new()) };
        let mut keepers = Vec::new();
        let spelled = document.keys(|spelled| spelled.goes_with(key))?;
        if let (Kept::By(asked) | Kept::HereOrBy(asked), true) = (document.kept(key.host)?, key.namespace.is_empty()) {
            // docker's helper has the tokens of a web login too, each under a key that the file lists
            let mut servers = vec![asked.server.as_str()];
            servers.extend(spelled.iter().copied().filter(|server| *server != asked.server));
            let mut was_there = false;
            for server in servers {
                let asked = Asked { name: asked.name.clone(), server: server.to_owned() };
                was_there |= self.helper(&asked, key.host, file).erase()?;
            }
            keepers.extend(was_there.then(|| keeper(&asked, file)));
        }
        let mut told = false;
        for name in &spelled {
            told |= !document.is_marked(name)?;
        }
        if !spelled.is_empty() {
            save::change(&file.path, |text| edit::edited(file, text, key, Change::Forget))?;
        }
        keepers.extend(told.then(|| Keeper::File(file.path.clone())));
        Ok(keepers)
    }
}

fn keeper(asked: &Asked, file: &AuthFile) -> Keeper {
    Keeper::Helper { program: format!("docker-credential-{}", asked.name), file: file.path.clone() }
}

/// Reads what a user calls a registry.
fn typed<'a>(registry: &'a str, action: &str) -> Result<Key<'a>, StoreError> {
    Key::typed(registry).ok_or_else(|| StoreError::Remote {
        action: action.to_owned(),
        place: Location::Registry(registry.to_owned()),
        class: Class::Usage,
        reason: Reason(format!("{} is no registry", quoted(registry))),
        hint: Some("write it as HOST, HOST:PORT or HOST/NAMESPACE".to_owned()),
    })
}

const LEGACY: &str = "its form is out of use, and only read";
const ELSEWHERE: &str = "name another file with --authfile";

/// Complains that a file is not for this.
fn refused(action: &str, registry: &str, file: &AuthFile, reason: &str, hint: &str) -> StoreError {
    StoreError::Unsupported {
        action: action.to_owned(),
        place: Location::Registry(registry.to_owned()),
        reason: Reason(format!("{}: {reason}", escaped(&file.path.to_string_lossy()))),
        hint: Some(hint.to_owned()),
    }
}

/// Complains of what stands in a file.
fn unusable(path: &Path, reason: impl Into<Reason>) -> StoreError {
    StoreError::Malformed {
        what: "the credentials".to_owned(),
        place: Location::File(path.to_owned()),
        reason: reason.into(),
        hint: Some("correct the file, or name another one with --authfile".to_owned()),
    }
}

/// Complains that the file is not there that the user has named.
fn absent(path: &Path) -> StoreError {
    StoreError::Absent {
        what: quoted(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()),
        place: Location::File(directory_of(path).to_owned()),
        hint: Some("correct --authfile or $REGISTRY_AUTH_FILE, or log in first".to_owned()),
    }
}
