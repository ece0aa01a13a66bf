//! Files with keys: read, with the password asked for where one is needed.

use std::env;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use barge::ops::Error;
use barge::signing::{KeyError, LARGEST_KEY, Password, PrivateKey, PublicKey};
use barge::store::StoreError;
use barge::text::escaped;
use zeroize::Zeroizing;

/// Where a password is looked for before anybody is asked: the second is cosign's.
const VARIABLES: [&str; 2] = ["BARGE_PASSWORD", "COSIGN_PASSWORD"];

/// Reads a private key, and asks for its password when it is encrypted.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKey, Error> {
    let pem = read(path)?;
    let key = match PrivateKey::from_pem(&pem, None) {
        Err(KeyError::Locked) => PrivateKey::from_pem(&pem, Some(&password_of(path)?)),
        other => other,
    };
    key.map_err(wrong("use the private key", path))
}

/// Reads a public key.
pub(crate) fn public_key(path: &Path) -> Result<PublicKey, Error> {
    PublicKey::from_pem(&read(path)?).map_err(wrong("use the public key", path))
}

/// Says with which file something is wrong.
pub(super) fn wrong(action: &'static str, path: &Path) -> impl FnOnce(KeyError) -> Error {
    move |error| Error::Key { action, path: path.to_owned(), error }
}

/// Reads a file, which may be a pipe: `<(pass show key)`.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let most = LARGEST_KEY as u64 + 1; // one more: what is cut must not pass for whole
    let mut pem = Zeroizing::new(Vec::with_capacity(LARGEST_KEY + 1));
    let opened = File::open(path).and_then(|file| file.take(most).read_to_end(&mut pem));
    match opened {
        Ok(_) => Ok(pem),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Absent {
            message: format!("cannot find the key {}", escaped(&path.to_string_lossy())),
            cause: None,
            hint: Some("keys are made with `barge key generate -o PREFIX`".to_owned()),
        }),
        Err(error) => Err(StoreError::io("read", path)(error).into()),
    }
}

/// Returns the password of the environment: also an empty one, as cosign takes it.
pub(super) fn given_password() -> Option<(&'static str, Password)> {
    use std::os::unix::ffi::OsStringExt as _;
    let found = VARIABLES.iter().find_map(|name| Some((*name, env::var_os(name)?)));
    found.map(|(name, value)| (name, Password::new(value.into_vec())))
}

fn password_of(path: &Path) -> Result<Password, Error> {
    if let Some((_, password)) = given_password() {
        return Ok(password);
    }
    let path = escaped(&path.to_string_lossy());
    ask(&format!("Password of {path}: "), || format!("cannot open the private key {path}"))
}

/// Asks for a password at the terminal.
pub(super) fn ask(prompt: &str, what: impl FnOnce() -> String) -> Result<Password, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::Usage {
            message: format!("{}: there is no terminal to ask for the password at", what()),
            hint: Some(format!("give it in the environment, as {}", VARIABLES[0])),
        });
    }
    let password = rpassword::prompt_password(prompt).map_err(StoreError::io("read", "the terminal"))?;
    Ok(Password::new(password))
}
