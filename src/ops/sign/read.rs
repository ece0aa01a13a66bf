//! What a layer with a signature holds, in either form: what is signed, the signature, and what it says once it holds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::Found;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::json::JsonError;
use crate::signing::Signature;
use crate::sigstore_bundle::{BUNDLE, Envelope, LARGEST_BUNDLE};
use crate::simple_signing::{LARGEST_PAYLOAD, PAYLOAD, Payload, SIGNATURE};

/// What a layer is that holds a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// What is signed, with the signature as its annotation: [`simple_signing`](crate::simple_signing).
    Payload,
    /// A bundle: [`sigstore_bundle`](crate::sigstore_bundle).
    Bundle,
}

impl Form {
    /// Returns the form of a layer; `None` for one that holds no signature.
    pub(super) fn of(layer: &Descriptor) -> Option<Self> {
        match layer.media_type().as_str() {
            PAYLOAD => Some(Self::Payload),
            BUNDLE => Some(Self::Bundle),
            _ => None,
        }
    }

    /// Returns how large it may be.
    pub(super) const fn largest(self) -> u64 {
        match self {
            Self::Payload => LARGEST_PAYLOAD,
            Self::Bundle => LARGEST_BUNDLE,
        }
    }

    /// Returns what a message calls the layer.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Payload => "what is signed",
            Self::Bundle => "the bundle",
        }
    }
}

/// A signature that can be checked.
pub(super) struct Read {
    signed: Vec<u8>,
    signature: Signature,
    /// What `signed` was made of; the payload is all of it.
    envelope: Option<Envelope>,
}

/// What somebody has signed of one image.
pub(super) struct Claim {
    /// Its digests.
    pub(super) images: Vec<Digest>,
    /// What it was called.
    pub(super) reference: Option<String>,
    /// What else was signed.
    pub(super) annotations: BTreeMap<String, Value>,
}

impl Read {
    /// Reads the bytes of a layer, or returns what is wrong with it.
    pub(super) fn of(found: &Found, bytes: Vec<u8>) -> Result<Self, String> {
        match found.form {
            Form::Payload => {
                let text = found.layer.annotation(SIGNATURE).ok_or("it has no signature")?;
                let signature = Signature::parse(text.as_bytes()).map_err(|error| error.to_string())?;
                Ok(Self { signed: bytes, signature, envelope: None })
            }
            Form::Bundle => {
                let envelope =
                    Envelope::parse(&bytes).map_err(|error| format!("the bundle cannot be used: {error}"))?;
                Ok(Self {
                    signed: envelope.signed_bytes(),
                    signature: envelope.signature().clone(),
                    envelope: Some(envelope),
                })
            }
        }
    }

    /// Returns what the signature is of.
    pub(super) fn signed_bytes(&self) -> &[u8] {
        &self.signed
    }

    /// Returns the signature.
    pub(super) const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Takes apart what is signed: only for those who have checked the signature.
    pub(super) fn claims(&self) -> Result<Vec<Claim>, JsonError> {
        let Some(envelope) = &self.envelope else {
            let Payload { reference, image, optional } = Payload::parse(&self.signed)?;
            let reference = Some(reference).filter(|reference| !reference.is_empty());
            return Ok(vec![Claim { images: vec![image], reference, annotations: optional }]);
        };
        let claim = |subject: crate::sigstore_bundle::Subject| Claim {
            images: subject.digests,
            reference: subject.name,
            annotations: subject.annotations,
        };
        Ok(envelope.statement()?.subjects.into_iter().map(claim).collect())
    }
}
