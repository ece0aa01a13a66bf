//! Bundles, receipts and images that have to be signed: `--verify-key`, `--base-key`, `--sign-key` and `--require-signature`.

use std::path::PathBuf;
use std::sync::Arc;

use barge::content::Descriptor;
use barge::ops::Error;
use barge::ops::attached::called;
use barge::ops::bundle::{BaseContents, trusted, trusted_archive, trusted_base};
use barge::ops::copy::Extent;
use barge::ops::open::Store;
use barge::ops::sign::{Checked, SignedImage, require};
use barge::signing::{PrivateKey, PublicKey};
use barge::store::Source;
use barge::store::archive::Archive;
use barge::text::{escaped, shell_word};
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::keys::{private_key, public_key};

/// What only signed bundles are taken with.
#[derive(Args, Debug)]
pub(crate) struct VerifyKeyArgs {
    /// Refuse a bundle that this public key, or another one given so, has not signed (can be repeated)
    #[arg(long, value_name = "KEY")]
    verify_key: Vec<PathBuf>,
}

/// What only signed images are taken with.
#[derive(Args, Debug)]
pub(crate) struct RequireArgs {
    /// Refuse images that this public key, or another one given so, has not signed, as `barge sign` and cosign do (can be repeated)
    #[arg(long, value_name = "KEY")]
    require_signature: Vec<PathBuf>,
}

impl RequireArgs {
    /// Returns the options as words of a command, each with a blank before it: a command that is told must ask for no less.
    pub(crate) fn words(&self) -> String {
        let word = |key: &PathBuf| format!(" --require-signature {}", shell_word(&key.to_string_lossy()));
        self.require_signature.iter().map(word).collect()
    }

    /// Reads the keys: before anything else, so that a wrong name is told at once.
    pub(crate) fn read(&self) -> Result<Required, Error> {
        Required::by(&self.require_signature)
    }
}

/// Keys, one of which has to have signed every image that is taken; none when nobody asked for that.
pub(crate) struct Required(Vec<PublicKey>);

impl Required {
    /// Reads keys.
    pub(crate) fn by(paths: &[PathBuf]) -> Result<Self, Error> {
        Ok(Self(public_keys(paths)?))
    }

    /// Returns whether anything is asked of what is taken.
    pub(crate) const fn is_asked_for(&self) -> bool {
        !self.0.is_empty()
    }

    /// Checks images that are to be taken, says who signed them, and returns that for JSON.
    pub(crate) fn check(
        &self,
        source: &dyn Source,
        roots: &[Descriptor],
        extent: Extent,
        session: &Session<'_>,
    ) -> Result<Vec<Value>, Error> {
        if !self.is_asked_for() {
            return Ok(Vec::new());
        }
        let images = require(source, roots, extent, &self.0)?;
        say_signed(&images, session);
        Ok(images.iter().flat_map(|(image, checked)| checked.iter().map(|one| as_json(image, one))).collect())
    }

    /// Returns the keys.
    pub(crate) fn keys(&self) -> &[PublicKey] {
        &self.0
    }
}

/// Says who signed images.
pub(super) fn say_signed(images: &[SignedImage<'_>], session: &Session<'_>) {
    for (image, checked) in images {
        for one in checked {
            session.ui.say(&format!("{} is signed with key {}{}", called(image), one.key.fingerprint(), said(one)));
        }
    }
}

fn as_json(image: &Descriptor, checked: &Checked<'_>) -> Value {
    json!({"image": image.digest().to_string(), "signedBy": checked.key.fingerprint().to_string(),
        "identity": checked.reference, "annotations": checked.annotations, "manifest": checked.manifest.to_string()})
}

/// Returns what else was signed of an image.
fn said(checked: &Checked<'_>) -> String {
    let name = checked.reference.iter().map(|name| format!(" as {}", escaped(name)));
    let annotation = |(name, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!(", {}={}", escaped(name), escaped(&value))
    };
    name.chain(checked.annotations.iter().map(annotation)).collect()
}

/// What bases and bundles are signed with.
#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    /// Sign the packing list with this private key
    #[arg(long, value_name = "KEY")]
    sign_key: Option<PathBuf>,
    /// Refuse a base of which this public key, or another one given so, has not signed the receipt or the packing list (can be repeated)
    #[arg(long, value_name = "KEY", requires = "base")]
    base_key: Vec<PathBuf>,
}

impl VerifyKeyArgs {
    /// Returns the options as words of a command, each with a blank before it: a command that is told must ask for no less.
    pub(crate) fn words(&self) -> String {
        self.verify_key.iter().map(|key| format!(" --verify-key {}", shell_word(&key.to_string_lossy()))).collect()
    }

    /// Reads the keys: before anything else, so that a wrong name is told at once.
    pub(crate) fn read(&self) -> Result<Trust, Error> {
        Ok(Trust(public_keys(&self.verify_key)?))
    }
}

impl SignArgs {
    /// Reads the private key, if there is to be a signature.
    pub(crate) fn signer(&self) -> Result<Option<Arc<PrivateKey>>, Error> {
        Ok(self.sign_key.as_deref().map(private_key).transpose()?.map(Arc::new))
    }

    /// Returns whether there is to be a signature.
    pub(crate) const fn signs(&self) -> bool {
        self.sign_key.is_some()
    }

    /// Reads the keys by one of which each base has to be signed.
    pub(crate) fn base_keys(&self) -> Result<Trust, Error> {
        Ok(Trust(public_keys(&self.base_key)?))
    }
}

fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>, Error> {
    paths.iter().map(|path| public_key(path)).collect()
}

/// Keys, one of which has to have signed what is taken; none when nobody asked for that.
pub(crate) struct Trust(Vec<PublicKey>);

impl Trust {
    /// Checks what is to be taken, and returns the fingerprints of those who signed it, in order; nothing when nobody asked.
    pub(crate) fn check<'a>(
        &self,
        stores: impl IntoIterator<Item = &'a Store>,
        session: &Session<'_>,
    ) -> Result<Vec<String>, Error> {
        let mut signers = Vec::new();
        for store in stores.into_iter().filter(|_| !self.0.is_empty()) {
            let signer = trusted(store, &self.0)?.fingerprint().to_string();
            session.ui.say(&format!("{} is signed with key {signer}", store.location()));
            signers.push(signer);
        }
        Ok(signers)
    }

    /// Checks the fronts of archives of which the content comes later.
    pub(crate) fn check_fronts<'a>(&self, fronts: impl IntoIterator<Item = &'a Archive>) -> Result<(), Error> {
        for front in fronts.into_iter().filter(|_| !self.0.is_empty()) {
            trusted_archive(front, &self.0)?;
        }
        Ok(())
    }

    /// Returns whether anything is asked of what is taken.
    pub(crate) const fn is_asked_for(&self) -> bool {
        !self.0.is_empty()
    }

    /// Checks what bases are said to have; `words` is what they were called.
    pub(crate) fn check_bases(
        &self,
        words: &[String],
        bases: &[BaseContents],
        session: &Session<'_>,
    ) -> Result<(), Error> {
        for (word, base) in words.iter().zip(bases).filter(|_| !self.0.is_empty()) {
            let signer = trusted_base(word, base, &self.0)?.fingerprint();
            session.ui.say(&format!("{} is signed with key {signer}", escaped(word)));
        }
        Ok(())
    }
}
