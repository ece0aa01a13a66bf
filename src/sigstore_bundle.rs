//! Signatures of images as cosign 3 writes them: a sigstore bundle, which lies beside the image as an artifact.
//!
//! The bundle (sigstore/protobuf-specs v0.5, `protos/sigstore_bundle.proto`, as JSON) holds an envelope (secure-systems-lab/dsse v1.0.2,
//! `protocol.md` and `envelope.md`). What is signed in it is a statement (in-toto/attestation v1, `spec/v1/statement.md`) with the digest
//! of the image as its subject and a type that says that it is a signature and nothing else. How it lies in a place is
//! in sigstore/cosign v3, `specs/BUNDLE_SPEC.md`.
//!
//! Such bundles hold attestations as well (SBOMs, provenance): who makes one has not said that an image may be used. They are told
//! apart by the type of the statement.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};

use crate::digest::Digest;
use crate::json::{self, JsonError, View};
use crate::signing::{PublicKey, Signature};
use crate::text::quoted;

/// The media type of a bundle, and the type of artifact of the manifest that it is the layer of.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The annotation of the manifest that says what form the content has.
pub const CONTENT: &str = "dev.sigstore.bundle.content";
/// What [`CONTENT`] says of an envelope.
pub const ENVELOPE: &str = "dsse-envelope";
/// The annotation of the manifest that says what type the statement has. Nobody has signed it.
pub const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
/// The type of a statement that is the signature of an image.
pub const IMAGE_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The largest bundle that is read, in bytes: with a certificate, an entry of a log and time stamps they have some 10 KiB.
pub const LARGEST_BUNDLE: u64 = 128 * 1024;

/// The same media type, as some programs write it inside of the bundle.
const BUNDLE_BY_VERSION: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";
/// The type of what is signed.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// What a statement says that it is.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// An envelope: bytes of some type, and the one signature of both. Nothing of it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signature: Signature,
}

/// A statement that is the signature of an image, or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What is signed.
    pub subjects: Vec<Subject>,
}

/// One thing that a statement is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// What it was called by whoever signed it: most say nothing.
    pub name: Option<String>,
    /// Its digests: one for each algorithm.
    pub digests: Vec<Digest>,
    /// What else was signed.
    pub annotations: BTreeMap<String, Value>,
}

impl Envelope {
    /// Takes a statement and its signature.
    #[must_use]
    pub fn new(statement: &Statement, signature: Signature) -> Self {
        Self { payload_type: IN_TOTO.to_owned(), payload: statement.encode(), signature }
    }

    /// Takes the envelope out of a bundle, as far as that is needed to check the signature.
    ///
    /// # Errors
    /// When it is no strict JSON, no such bundle, one that was made with a certificate, or has not exactly one signature.
    pub fn parse(bundle: &[u8]) -> Result<Self, JsonError> {
        let value = json::parse(bundle)?;
        let top = View::top(&value, "bundle");
        let media_type = top.need("mediaType", BUNDLE)?;
        if ![BUNDLE, BUNDLE_BY_VERSION].contains(&media_type.text()?) {
            return Err(media_type.wrong(BUNDLE));
        }
        let material = top.need("verificationMaterial", "an object")?;
        for certificate in ["certificate", "x509CertificateChain"] {
            if let Some(certificate) = material.get(certificate)? {
                return Err(certificate.wrong("nothing: only what was signed with a key is checked"));
            }
        }
        material.need("publicKey", "an object")?.object()?;
        if let Some(message) = top.get("messageSignature")? {
            return Err(message.wrong("nothing: an image is signed by an envelope"));
        }
        let envelope = top.need("dsseEnvelope", "an object")?;
        let payload_type = envelope.need("payloadType", IN_TOTO)?.text()?.to_owned();
        let payload = bytes(&envelope.need("payload", "base64")?)?;
        let list = envelope.need("signatures", "a list with one signature")?;
        let signatures = list.list()?;
        let [signature] = signatures.as_slice() else {
            let path = "bundle.dsseEnvelope.signatures".to_owned();
            let got = format!("a list of {}", signatures.len());
            return Err(JsonError::Field { path, got, expected: "a list with one signature".to_owned() });
        };
        let text = signature.need("sig", "a signature in base64")?;
        let signature = Signature::from_bytes(bytes(&text)?).map_err(|_| text.wrong("a signature in base64"))?;
        Ok(Self { payload_type, payload, signature })
    }

    /// Returns the bundle that holds it, made with a key.
    #[must_use]
    pub fn encode(&self, key: &PublicKey) -> Vec<u8> {
        // how cosign tells its own keys apart: it is a hint, and nobody has to follow it
        let hint = STANDARD.encode(key.fingerprint().as_bytes());
        json::encode(&json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": {
                "payloadType": self.payload_type,
                "payload": STANDARD.encode(&self.payload),
                "signatures": [{"sig": self.signature.to_text()}],
            },
        }))
    }

    /// Returns the signature.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Returns the very bytes that are signed: the type and the payload, so that neither can be taken for another.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        signed_bytes(&self.payload_type, &self.payload)
    }

    /// Reads what was signed: only for those who have checked the signature.
    ///
    /// # Errors
    /// When it is no statement that signs an image.
    pub fn statement(&self) -> Result<Statement, JsonError> {
        if self.payload_type != IN_TOTO {
            let (path, expected) = ("bundle.dsseEnvelope.payloadType".to_owned(), IN_TOTO.to_owned());
            return Err(JsonError::Field { path, got: quoted(&self.payload_type), expected });
        }
        Statement::parse(&self.payload)
    }
}

impl Statement {
    /// Returns a statement that is the signature of one image.
    #[must_use]
    pub fn of(image: Digest, name: Option<String>, annotations: BTreeMap<String, Value>) -> Self {
        Self { subjects: vec![Subject { name, digests: vec![image], annotations }] }
    }

    /// Returns what the signature of it is of.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        signed_bytes(IN_TOTO, &self.encode())
    }

    /// Returns its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let subject = |subject: &Subject| {
            let digest = |digest: &Digest| (digest.algorithm().name().to_owned(), json!(digest.hex()));
            let digests: Map<String, Value> = subject.digests.iter().map(digest).collect();
            let annotations: Map<String, Value> = subject.annotations.clone().into_iter().collect();
            let mut value = json!({"digest": digests, "annotations": annotations});
            if let Some(name) = &subject.name {
                value["name"] = json!(name);
            }
            value
        };
        json::encode(&json!({
            "_type": STATEMENT,
            "subject": self.subjects.iter().map(subject).collect::<Vec<_>>(),
            "predicateType": IMAGE_SIGNATURE,
            "predicate": {},
        }))
    }

    /// Reads a statement.
    ///
    /// # Errors
    /// When it is no strict JSON, no statement, or one that says something else of its subject.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let value = json::parse(bytes)?;
        let top = View::top(&value, "statement");
        for (field, expected) in [("_type", STATEMENT), ("predicateType", IMAGE_SIGNATURE)] {
            let said = top.need(field, expected)?;
            if said.text()? != expected {
                return Err(said.wrong(expected));
            }
        }
        if let Some(predicate) = top.get("predicate")? {
            predicate.object()?;
        }
        let subjects = top.need("subject", "a list")?;
        let subjects = subjects.list()?.iter().map(Subject::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { subjects })
    }

    /// Returns what was signed of an image; `None` when it was not signed.
    #[must_use]
    pub fn subject(&self, image: &Digest) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.digests.contains(image))
    }
}

impl Subject {
    fn read(view: &View<'_>) -> Result<Self, JsonError> {
        let name = view.text_at("name")?.map(str::to_owned).filter(|name| !name.is_empty());
        let mut digests = Vec::new();
        for (algorithm, hex) in view.need("digest", "an object")?.object()? {
            // other algorithms are for what is no image, as a commit of git
            if let Some(hex) = hex.as_str() {
                digests.extend(format!("{algorithm}:{hex}").parse::<Digest>().ok());
            }
        }
        let annotations = match view.get("annotations")? {
            Some(annotations) => annotations.object()?.clone().into_iter().collect(),
            None => BTreeMap::new(),
        };
        Ok(Self { name, digests, annotations })
    }
}

/// Returns what is signed of a payload and its type (dsse v1.0.2, `protocol.md`, "Signature Definition").
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Decodes base64 of either alphabet, which readers of an envelope have to take (dsse v1.0.2, `protocol.md`, "Protocol").
fn bytes(view: &View<'_>) -> Result<Vec<u8>, JsonError> {
    const EITHER: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = view.text()?;
    let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    GeneralPurpose::new(&alphabet, EITHER).decode(text).map_err(|_| view.wrong("base64"))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE};

    use super::*;
    use crate::signing::{KeyType, PrivateKey};

    /// A signature that cosign 3 made with a key, of an image in a public registry.
    const OF_COSIGN: &str = concat!(
        r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial":{"publicKey":{"#,
        r#""hint":"h162TZsIBy5Y8U9qYWcmpVAp5dKpXhR7gnz8sNfZjV4="}}, "dsseEnvelope":{"payload":"#,
        r#""eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCAic3ViamVjdCI6W3siZGlnZXN0Ijp7InNoYTI1NiI6Ij"#,
        "UwOTliODlkNzY2NmNjMjE4NmNhZDc2OWRkYzI2MmRkYzdjMzM1YjMzZjVmZTc5ZjlmZmU1MGEwMTI4MmIyM2UifSwgImFubm90YXRpb25",
        "zIjp7fX1dLCAicHJlZGljYXRlVHlwZSI6Imh0dHBzOi8vc2lnc3RvcmUuZGV2L2Nvc2lnbi9zaWduL3YxIiwgInByZWRpY2F0ZSI6e319",
        r#"", "payloadType":"application/vnd.in-toto+json", "signatures":[{"sig":"MEUCIBs2jKDupMmrqsjzI3W2oiID2y0P"#,
        r#"7n4UKT/RZHFeUOuhAiEA4SWsNDZXQBFqaA1/npF+HOGAaG2iuA52mxgPFCpgQog="}]}}"#,
    );
    const KEY_OF_COSIGN: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEoJmXprHRCRJdqHnRaPDkVssbQNO1\n\
        is6XUr+/ApqnDi8HvBCRPbwU2P8jgkgtOOggNUf03tvJe0/9eZOb04aDbQ==\n\
        -----END PUBLIC KEY-----\n";
    const IMAGE: &str = "sha256:5099b89d7666cc2186cad769ddc262ddc7c335b33f5fe79f9ffe50a01282b23e";

    fn image() -> Digest {
        IMAGE.parse().unwrap()
    }

    #[test]
    fn what_cosign_signed_holds() {
        let key = PublicKey::from_pem(KEY_OF_COSIGN.as_bytes()).unwrap();
        let envelope = Envelope::parse(OF_COSIGN.as_bytes()).unwrap();
        key.verify(&envelope.signed_bytes(), envelope.signature()).unwrap();
        let statement = envelope.statement().unwrap();
        assert_eq!(statement, Statement::of(image(), None, BTreeMap::new()));
        assert_eq!(statement.subject(&image()), Some(&statement.subjects[0]));
        assert_eq!(statement.subject(&Digest::of(b"another")), None);
        // but for blanks, and for the order of fields, cosign's bundle is ours
        let again = Envelope { payload: envelope.payload.clone(), ..envelope };
        assert_eq!(json::parse(&again.encode(&key)).unwrap(), json::parse(OF_COSIGN.as_bytes()).unwrap());
        assert_eq!(
            json::parse(&statement.encode()).unwrap(),
            json::parse(&again.payload).unwrap(),
            "the statement says what cosign's says"
        );
    }

    #[test]
    fn the_bytes_that_are_signed_are_those_of_the_specification() {
        let signed = signed_bytes("http://example.com/HelloWorld", b"hello world");
        assert_eq!(signed, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert_eq!(signed_bytes("", b""), b"DSSEv1 0  0 ");
        assert_eq!(signed_bytes("\u{fc}", b""), "DSSEv1 2 \u{fc} 0 ".as_bytes(), "bytes are counted");
    }

    #[test]
    fn what_is_made_is_read() {
        for key_type in [KeyType::P256, KeyType::Ed25519] {
            let key = PrivateKey::generate(key_type).unwrap();
            let annotations = BTreeMap::from([("build".to_owned(), json!("7")), ("Build".to_owned(), json!("8"))]);
            let statement = Statement::of(image(), Some("ghcr.io/org/app".to_owned()), annotations);
            let signature = key.sign(&statement.signed_bytes()).unwrap();
            let envelope = Envelope::new(&statement, signature);
            let bundle = envelope.encode(&key.public_key());
            let read = Envelope::parse(&bundle).unwrap();
            assert_eq!(read, envelope);
            assert_eq!(read.statement().unwrap(), statement);
            key.public_key().verify(&read.signed_bytes(), read.signature()).unwrap();
        }
    }

    #[test]
    fn either_alphabet_is_read_with_padding_and_without() {
        let payload: Vec<u8> = (0..=255).cycle().take(400).collect();
        let mut value: Value = serde_json::from_str(OF_COSIGN).unwrap();
        for text in [STANDARD.encode(&payload), STANDARD_NO_PAD.encode(&payload), URL_SAFE.encode(&payload)] {
            value["dsseEnvelope"]["payload"] = json!(text);
            assert_eq!(Envelope::parse(value.to_string().as_bytes()).unwrap().payload, payload);
        }
    }

    #[test]
    fn what_is_no_bundle_of_one_signature_by_a_key_is_refused() {
        let long = "A".repeat(400);
        for (from, to, complaint) in [
            ("bundle.v0.3+json", "bundle.v0.9+json", "bundle.mediaType is"),
            ("\"mediaType\"", "\"mediatype\"", "bundle.mediaType is absent"),
            ("\"verificationMaterial\"", "\"other\"", "bundle.verificationMaterial is absent"),
            ("{\"publicKey\"", "{\"certificate\":{},\"publicKey\"", "only what was signed with a key"),
            ("{\"publicKey\"", "{\"x509CertificateChain\"", "only what was signed with a key"),
            ("{\"publicKey\"", "{\"key\"", "publicKey is absent"),
            ("\"dsseEnvelope\"", "\"messageSignature\":{},\"dsseEnvelope\"", "by an envelope"),
            ("\"dsseEnvelope\"", "\"envelope\"", "bundle.dsseEnvelope is absent"),
            ("\"payload\"", "\"content\"", "payload is absent"),
            ("\"eyJf", "\"?eyJf", "expected base64"),
            ("\"eyJf", "\"e+-f", "expected base64"),
            ("\"payloadType\"", "\"type\"", "payloadType is absent"),
            ("[{\"sig\"", "[{\"sig\":\"AA==\"},{\"sig\"", "is a list of 2, expected a list with one signature"),
            ("\"signatures\"", "\"signatures\":[],\"x\"", "is a list of 0, expected"),
            ("\"signatures\"", "\"signature\"", "signatures is absent"),
            ("\"sig\"", "\"keyid\"", "sig is absent"),
            ("\"MEUC", "\"AEUC", "expected a signature in base64"),
            ("\"MEUC", "\" MEUC", "expected base64"),
            ("\"MEUC", &format!("\"{long}"), "expected a signature in base64"),
            ("\"payload\"", "\"payload\":\"\",\"payload\"", "twice"),
            ("{\"mediaType\"", "[{\"mediaType\"", "not strict JSON"),
        ] {
            let wrong = OF_COSIGN.replacen(from, to, 1);
            assert_ne!(wrong, OF_COSIGN, "{from}");
            let error = Envelope::parse(wrong.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(complaint), "{from} {to}: {error}");
        }
    }

    #[test]
    fn a_statement_that_signs_no_image_is_none() {
        let right = String::from_utf8(Statement::of(image(), None, BTreeMap::new()).encode()).unwrap();
        assert!(Statement::parse(right.as_bytes()).is_ok());
        for (from, to, complaint) in [
            ("Statement/v1", "Statement/v0.1", "statement._type is"),
            (IMAGE_SIGNATURE, "https://spdx.dev/Document", "statement.predicateType is \"https://spdx.dev/Document\""),
            (IMAGE_SIGNATURE, "https://sigstore.dev/cosign/sign/v1/", "statement.predicateType is"),
            ("\"predicate\":{}", "\"predicate\":\"\"", "statement.predicate is"),
            ("\"subject\"", "\"subjects\"", "statement.subject is absent"),
            ("\"digest\"", "\"digests\"", "statement.subject[0].digest is absent"),
            ("\"annotations\":{}", "\"annotations\":[]", "statement.subject[0].annotations is"),
            ("\"annotations\":{}", "\"name\":1", "statement.subject[0].name is"),
        ] {
            let wrong = right.replacen(from, to, 1);
            assert_ne!(wrong, right, "{from}");
            let error = Statement::parse(wrong.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(complaint), "{from}: {error}");
        }
        // a digest that nobody can compare is of no image
        for digest in ["\"sha256\":\"5099\"", "\"gitCommit\":\"00\"", "\"sha256\":null"] {
            let from = format!("\"sha256\":\"{}\"", image().hex());
            let statement = Statement::parse(right.replacen(&from, digest, 1).as_bytes()).unwrap();
            assert_eq!(statement.subject(&image()), None);
        }
    }

    #[test]
    fn what_was_signed_as_another_type_is_no_statement() {
        let other = OF_COSIGN.replacen("vnd.in-toto+json", "vnd.other+json", 1);
        let envelope = Envelope::parse(other.as_bytes()).unwrap();
        let key = PublicKey::from_pem(KEY_OF_COSIGN.as_bytes()).unwrap();
        assert!(key.verify(&envelope.signed_bytes(), envelope.signature()).is_err(), "the type is signed too");
        let error = envelope.statement().unwrap_err().to_string();
        assert!(error.contains("payloadType is \"application/vnd.other+json\""), "{error}");
    }
}
