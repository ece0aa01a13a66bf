//! What is signed of an image: a small document that says its digest, and the forms in which signatures lie beside images.
//!
//! The document is that of the "simple signing" format, as cosign's SIGNATURE_SPEC.md (sigstore/cosign, specs) and containers/image
//! write it. It is a layer of a manifest, and the signature an annotation of that layer. The manifest is found by its tag,
//! `sha256-HEX.sig`, or by its subject.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::digest::Digest;
use crate::json::{self, JsonError, View};

/// The media type of the document that is signed.
pub const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The media type of the config by which a manifest with a subject is known to hold signatures.
pub const SIGNATURES: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// The annotation of a layer that has the signature of its content, in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The largest document that is read, in bytes: those that are known have some hundreds.
pub const LARGEST_PAYLOAD: u64 = 64 * 1024;

/// What the document says that it is.
const TYPE: &str = "cosign container image signature";

/// The document that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What the image was called by whoever signed it: a repository, or a name with a tag; may be empty.
    pub reference: String,
    /// The digest of the image.
    pub image: Digest,
    /// What else was signed.
    pub optional: BTreeMap<String, Value>,
}

impl Payload {
    /// Returns its bytes: the same as cosign's for the same content.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let optional = match self.optional.is_empty() {
            true => Value::Null,
            false => Value::Object(self.optional.clone().into_iter().collect::<Map<String, Value>>()),
        };
        json::encode(&json!({
            "critical": {
                "identity": {"docker-reference": self.reference},
                "image": {"docker-manifest-digest": self.image.to_string()},
                "type": TYPE,
            },
            "optional": optional,
        }))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When it is no strict JSON, or not such a document.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let value = json::parse(bytes)?;
        let top = View::top(&value, "payload");
        let critical = top.need("critical", "an object")?;
        let kind = critical.need("type", TYPE)?;
        if kind.text()? != TYPE {
            return Err(kind.wrong(TYPE));
        }
        let image = critical.need("image", "an object")?.need("docker-manifest-digest", "a digest")?;
        let digest = image.text()?.parse().map_err(|_| image.wrong("a digest"))?;
        let reference = critical.need("identity", "an object")?.need("docker-reference", "a text")?;
        let reference = reference.text()?.to_owned();
        let optional = match top.get("optional")? {
            Some(optional) => optional.object()?.clone().into_iter().collect(),
            None => BTreeMap::new(),
        };
        Ok(Self { reference, image: digest, optional })
    }
}

/// Returns the tag under which signatures of an image lie.
#[must_use]
pub fn signature_tag(image: &Digest) -> String {
    format!("{}.sig", image.to_string().replacen(':', "-", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "sha256:5f481572d088dc4023afb35fced9530ced3d9b03bf7299c6f492163cb9f0452e";

    fn payload() -> Payload {
        let reference = "registry-testing.svc.lan/kubewarden/disallow-service-nodeport".to_owned();
        Payload { reference, image: IMAGE.parse().unwrap(), optional: BTreeMap::new() }
    }

    #[test]
    fn the_bytes_are_those_of_cosign() {
        let expected = format!(
            "{{\"critical\":{{\"identity\":{{\"docker-reference\":\"registry-testing.svc.lan/kubewarden/disallow-service-nodeport\"}},\
             \"image\":{{\"docker-manifest-digest\":\"{IMAGE}\"}},\"type\":\"cosign container image signature\"}},\"optional\":null}}"
        );
        assert_eq!(String::from_utf8(payload().encode()).unwrap(), expected);
        assert_eq!(Payload::parse(expected.as_bytes()).unwrap(), payload());
        let mut more = payload();
        more.optional.insert("creator".to_owned(), json!("somebody"));
        more.optional.insert("timestamp".to_owned(), json!(1_458_239_713));
        assert_eq!(Payload::parse(&more.encode()).unwrap(), more);
        assert_eq!(signature_tag(&payload().image), format!("{}.sig", IMAGE.replace(':', "-")));
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        let right = String::from_utf8(payload().encode()).unwrap();
        for (from, to) in [
            ("\"type\":\"cosign", "\"type\":\"other"),
            ("\"docker-manifest-digest\"", "\"Docker-manifest-digest\""),
            ("sha256:5f", "sha256:"),
            ("sha256:5f", "md5:5f"),
            ("\"critical\":", "\"critical\":[],\"x\":"),
            ("\"optional\":null", "\"optional\":[]"),
            ("\"optional\":null", "\"critical\":null"),
            ("\"docker-reference\":\"registry", "\"docker-reference\":1,\"x\":\"registry"),
            ("null}", "null} x"),
        ] {
            let wrong = right.replacen(from, to, 1);
            assert_ne!(wrong, right, "{from}");
            assert!(Payload::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
