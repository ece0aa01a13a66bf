//! The list of referrers that a client keeps where the registry keeps none (distribution-spec v1.1.1, spec.md, "Pushing
//! Manifests with Subject", "Referrers Tag Schema"): an index under a tag made of the subject's digest.
//!
//! Others write the same tag, and there is no lock: it is read, what is ours is added, it is written, and it is read again.
//! Where the registry says a version of it (`ETag`), it is written only over that version.

use std::time::Duration;

use serde_json::json;

use super::belonging::fallback_tag;
use super::documents::Read;
use super::repository::Repository;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::Document;
use crate::error::Class;
use crate::json::{self, JsonError, Object};
use crate::media::{MediaType, OCI_INDEX};
use crate::store::referrer_list::{NoList, with_entries};
use crate::store::{Location, StoreError};

/// How long to wait before each look at the list. A registry of several machines may need a moment to agree, and who writes
/// at the same time is not to come back at the same time.
const LOOKS: [Duration; 7] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

impl Repository {
    /// Lists referrers under the tag for their subject, beside those that stand there. Returns whether that had to be written.
    ///
    /// # Errors
    /// When the registry cannot be reached or does not take it, the tag names something else, or others change it again
    /// and again.
    pub(super) fn list_under_tag(&self, subject: &Digest, ours: &[Descriptor]) -> Result<bool, StoreError> {
        let tag = fallback_tag(subject);
        let place = Location::Registry(format!("{}/{}:{tag}", self.registry.name(), self.path));
        let media_type = MediaType::new(OCI_INDEX);
        let mut written = false;
        for pause in LOOKS {
            if !self.registry.cancel().sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())) {
                return Err(StoreError::Cancelled);
            }
            let there = match self.fetch_document(&tag) {
                Ok(read) => Some(read),
                Err(error) if error.class() == Class::Absent => None,
                Err(error) => return Err(error),
            };
            let merged = merged(there.as_ref(), ours)
                .map_err(|reason| StoreError::malformed("the list of referrers", &place, reason.to_string()))?;
            let Some(merged) = merged else { return Ok(written) };
            let version = there.as_ref().and_then(|read| read.etag.as_deref());
            written |= self.replace_document(&tag, &media_type, &merged, version)?.is_some();
        }
        let reason = "others write it at the same time, and what was added did not stay";
        let hint = Some("run the same command again: what has arrived is not sent again".to_owned());
        Err(self.registry.remote("list referrers under", &place, Class::Busy, reason, hint))
    }
}

/// Returns a list of referrers with ours in it; `None` when they all stand there. What others wrote keeps its bytes and its
/// order, but for what stands there twice.
fn merged(there: Option<&Read>, ours: &[Descriptor]) -> Result<Option<Vec<u8>>, NoList> {
    let Some(read) = there else {
        let manifests: Vec<_> = ours.iter().map(Descriptor::to_value).collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        return Ok(Some(json::encode(&index)));
    };
    // what cannot be read is not replaced
    let document = Document::parse(&read.media_type, read.bytes.to_vec())?;
    let entry = |one: &Descriptor| Ok((*one.digest(), Object::from_value(&one.to_value())?.to_raw()));
    with_entries(&document, ours.iter().map(entry).collect::<Result<_, JsonError>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::OCI_MANIFEST;

    fn one(text: &str) -> Descriptor {
        Descriptor::of(&OCI_MANIFEST.into(), text.as_bytes()).with_artifact_type("a/b")
    }

    fn read(media_type: &str, text: &str) -> Read {
        Read::of(&media_type.into(), text.as_bytes())
    }

    #[test]
    fn ours_come_after_what_others_wrote_and_nothing_of_theirs_changes() {
        let theirs = one("theirs").to_value().to_string().replace("\"size\":6", "\"size\": 6,\"odd\":[1.50]");
        let text =
            format!(r#"{{"odd":1.50, "schemaVersion":2,"manifests":[{theirs},{theirs}],"annotations":{{"z":"y"}}}}"#);
        let there = read(OCI_INDEX, &text);
        let merged = merged(Some(&there), &[one("ours"), one("ours")]).unwrap().unwrap();
        let merged = String::from_utf8(merged).unwrap();
        let ours = Object::from_value(&one("ours").to_value()).unwrap();
        assert!(merged.contains(&format!("[{theirs},{}]", ours.to_raw().get())), "{merged}");
        assert!(merged.contains("\"odd\":1.50") && merged.contains(r#"{"z":"y"}"#), "{merged}");
    }

    #[test]
    fn what_stands_there_is_not_written_again() {
        let text = json!({"schemaVersion": 2, "manifests": [one("a").to_value(), one("b").to_value()]}).to_string();
        assert!(merged(Some(&read(OCI_INDEX, &text)), &[one("b")]).unwrap().is_none());
    }

    #[test]
    fn what_is_no_list_is_not_replaced() {
        let config = json!({"mediaType": "a/b", "digest": Digest::of(b"{}").to_string(), "size": 2});
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
        for (media_type, text) in [(OCI_MANIFEST, manifest.as_str()), (OCI_INDEX, "{"), (OCI_INDEX, "[]")] {
            assert!(merged(Some(&read(media_type, text)), &[one("a")]).is_err(), "{text}");
        }
    }
}
