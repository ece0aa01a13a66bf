//! What need not be sent: what a name says is there, and what another repository of the registry has.

use std::sync::PoisonError;

use super::push::RegistrySink;
use super::upload::Mount;
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::error::Class;
use crate::store::StoreError;
use crate::store::lanes::in_lanes;

impl RegistrySink {
    /// Asks what the names mean. A tag comes last, when everything is there: where it means what it should, nothing of that
    /// image is asked for.
    pub(super) fn believe_names(&self) -> Result<(), StoreError> {
        let names: Vec<(usize, &String, &Vec<Digest>, &Digest)> = (self.deliveries.iter().enumerate())
            .flat_map(|(at, delivery)| delivery.names.iter().map(move |(tag, digest)| (at, delivery, tag, digest)))
            .filter_map(|(at, delivery, tag, digest)| Some((at, tag.as_ref()?, delivery.whole.get(digest)?, digest)))
            .collect();
        let believed = in_lanes(&names, self.lanes.get(), self.registry.cancel(), |(at, tag, whole, digest), _| {
            if self.deliveries[*at].repository.published(tag)? == Some(**digest) {
                for digest in *whole {
                    self.has(*at, digest);
                }
            }
            Ok(())
        });
        believed.map_err(|(_, error)| error)
    }

    /// Returns a repository that has, or may have, some content that a delivery lacks.
    pub(super) fn holder(&self, at: usize, digest: &Digest) -> Option<String> {
        let delivery = &self.deliveries[at];
        let noted = || self.holders.of(digest, &delivery.repository.path).map(str::to_owned);
        self.registry.holder(digest).or_else(noted).or_else(|| delivery.sibling.clone())
    }

    /// Notes which repositories have blobs now, for the next run.
    pub(super) fn note_holders(&self) {
        let blobs = self.deliveries.iter().flat_map(|delivery| {
            let path = delivery.repository.path.as_str();
            // also small ones: a mount is one request, an upload two
            let blobs = delivery.contents.iter().filter(|(content, _)| !matches!(content.kind, Kind::Manifest(_)));
            blobs.map(move |(blob, _)| (&blob.digest, path))
        });
        self.holders.note(blobs);
    }

    /// Takes a blob from a sibling where one has it. Returns whether every repository has it then.
    pub(super) fn mount_what_can_be(&self, content: &Content) -> Result<bool, StoreError> {
        for at in self.lacking(&content.digest) {
            let delivery = &self.deliveries[at];
            let Some(from) = self.holder(at, &content.digest).filter(|from| *from != delivery.repository.path) else {
                continue;
            };
            if self.unwilling.lock().unwrap_or_else(PoisonError::into_inner).contains(&from) {
                continue;
            }
            let mount = match delivery.repository.mount(&content.digest, &from) {
                // whoever gets no token for both repositories may still write to this one
                Err(error) if error.class() == Class::Refused => {
                    self.unwilling.lock().unwrap_or_else(PoisonError::into_inner).insert(from);
                    continue;
                }
                mount => mount?,
            };
            match mount {
                Mount::Done => {
                    self.has(at, &content.digest);
                    let mut tally = self.tally_mut();
                    tally.mounted += 1;
                    tally.mounted_bytes += content.size;
                }
                Mount::Session(session) => self.keep_session(&content.digest, at, session),
                Mount::Refused => {}
            }
        }
        Ok(self.lacking(&content.digest).is_empty())
    }
}
