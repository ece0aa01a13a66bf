//! What is to go to a registry, and what became of it.

use std::collections::HashMap;

use super::referrers::Referrer;
use super::repository::Repository;
use crate::content::Content;
use crate::digest::Digest;

/// What is to go to one repository.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where to.
    pub repository: Repository,
    /// All content, and whether some document among it refers to it.
    pub contents: Vec<(Content, bool)>,
    /// The documents that are written after others that do not contain them, and in which turn: the others go in turn 0.
    pub turns: HashMap<Digest, usize>,
    /// What belongs to something else, and says so itself.
    pub referrers: Vec<Referrer>,
    /// What each named manifest holds, itself and the other documents among it: where the name means it already, all of this is
    /// there. Nothing here means that everything is asked for.
    pub whole: HashMap<Digest, Vec<Digest>>,
    /// The manifests that get a name: a tag, or none where the digest is the name.
    pub names: Vec<(Option<String>, Digest)>,
    /// A repository of the same registry that may have the content.
    pub sibling: Option<String>,
    /// What to do about a tag that means something else.
    pub taken: Taken,
}

/// What to do about a tag that means something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// It means the new image from now on.
    #[default]
    Replace,
    /// Refuse.
    Refuse,
}

/// A name that a registry has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The repository, as it is written after `docker://`.
    pub repository: String,
    /// The tag, where there is one.
    pub tag: Option<String>,
    /// What the registry says that it is.
    pub digest: Digest,
    /// Whether it meant this before.
    pub unchanged: bool,
    /// What the tag meant before, when that was something else.
    pub previous: Option<Digest>,
}

/// What a run did, in pieces and bytes; one that two repositories have counts for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Blobs that were sent.
    pub uploaded: u64,
    /// Bytes that were sent, those of blobs only.
    pub uploaded_bytes: u64,
    /// Blobs that a sibling repository gave.
    pub mounted: u64,
    /// Their bytes.
    pub mounted_bytes: u64,
    /// Blobs that were there.
    pub existing: u64,
    /// Their bytes.
    pub existing_bytes: u64,
    /// Uploads that went on where an earlier try had been cut.
    pub resumed: u64,
    /// The bytes that were not sent again for that.
    pub resumed_bytes: u64,
    /// Manifests that were written.
    pub manifests: u64,
    /// Referrers among them: what belongs to something and says so itself.
    pub referrers: u64,
    /// Lists of referrers that were written because the registry keeps none.
    pub lists: u64,
}

impl Tally {
    /// Adds what another run did.
    pub fn add(&mut self, other: &Self) {
        self.uploaded += other.uploaded;
        self.uploaded_bytes += other.uploaded_bytes;
        self.mounted += other.mounted;
        self.mounted_bytes += other.mounted_bytes;
        self.existing += other.existing;
        self.existing_bytes += other.existing_bytes;
        self.resumed += other.resumed;
        self.resumed_bytes += other.resumed_bytes;
        self.manifests += other.manifests;
        self.referrers += other.referrers;
        self.lists += other.lists;
    }
}

/// What a push would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Blobs that would be sent, and their bytes.
    pub upload: (u64, u64),
    /// Blobs that a sibling could give, and their bytes.
    pub mount: (u64, u64),
    /// Blobs that are there, and their bytes.
    pub existing: (u64, u64),
    /// Manifests that would be written.
    pub manifests: u64,
    /// Referrers among them.
    pub referrers: u64,
    /// Lists of referrers that would be written, because the registry keeps none; as far as that was asked.
    pub lists: u64,
}
