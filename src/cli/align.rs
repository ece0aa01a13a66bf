//! `--align`: where blobs begin in an archive.

use barge::bundle::parse_part_size;
use barge::ops::Error;
use barge::store::Location;
use barge::store::archive::Alignment;
use clap::Args;

/// Where blobs begin in an archive.
#[derive(Args, Debug)]
pub(crate) struct AlignArgs {
    /// Begin every blob in an archive at a multiple of SIZE, 4K if it is not said: btrfs and xfs then clone blobs into it and
    /// out of it instead of copying them
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "4K", value_parser = parse)]
    align: Option<Alignment>,
}

impl AlignArgs {
    pub(crate) const fn alignment(&self) -> Option<Alignment> {
        self.align
    }

    /// Refuses it where no archive is written.
    pub(crate) fn check(&self, places: &[Location]) -> Result<(), Error> {
        let is_archive =
            |place: &Location| matches!(place, Location::Archive(_) | Location::DockerArchive(_) | Location::Stdio);
        if self.align.is_none() || places.iter().any(is_archive) {
            return Ok(());
        }
        Err(Error::Usage {
            message: "cannot align blobs: no archive is written".to_owned(),
            hint: Some("leave out --align, or give a file such as app.tar; blobs of a layout are files".to_owned()),
        })
    }
}

fn parse(text: &str) -> Result<Alignment, String> {
    let alignment = parse_part_size(text).and_then(Alignment::new);
    alignment.ok_or_else(|| "expected a power of two from 1K to 512K, such as 4K or 65536".to_owned())
}
