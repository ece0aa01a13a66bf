//! The options by which layers are made, the same for every command that makes some.

use barge::layer::{Modes, Owner};
use barge::media::Compression;
use barge::ops::Error;
use barge::ops::build::LayerOptions;
use barge::ops::draft::moment;
use barge::pack::PackOptions;
use barge::text::quoted;
use clap::{Args, ValueEnum};

use super::Session;

/// How layers are made.
#[derive(Args, Debug)]
#[command(next_help_heading = "Layers")]
pub(crate) struct LayerArgs {
    /// How to pack layers [default: gzip]
    #[arg(long, value_enum, value_name = "HOW")]
    compression: Option<CompressionArg>,
    /// How hard to pack: gzip 0 to 9, zstd 1 to 22 [default: 5, for zstd 3]
    #[arg(long, value_name = "N")]
    compression_level: Option<u32>,
    /// Whose added files are: UID[:GID], or `keep` them as they are [default: 0:0; from tars and images as they are]
    #[arg(long, value_name = "WHOSE")]
    owner: Option<String>,
    /// What permissions added files get: their own, or 0755 and 0644 whatever umask made them [default: keep]
    #[arg(long, value_enum, value_name = "WHICH")]
    modes: Option<ModesArg>,
    /// Files that are added get no later time, and a build says that it was made then: seconds since 1970, or a moment such as 2024-05-01T12:00:00Z [default: $SOURCE_DATE_EPOCH, else 0]
    #[arg(long, value_name = "MOMENT")]
    source_date_epoch: Option<String>,
    /// Let files keep times after that
    #[arg(long)]
    keep_times: bool,
    /// An extended attribute to keep beside security.capability and user.* (can be repeated)
    #[arg(long, value_name = "NAME")]
    xattr: Vec<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompressionArg {
    Gzip,
    Zstd,
    None,
}

impl From<CompressionArg> for Compression {
    fn from(said: CompressionArg) -> Self {
        match said {
            CompressionArg::Gzip => Self::Gzip,
            CompressionArg::Zstd => Self::Zstd,
            CompressionArg::None => Self::None,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum ModesArg {
    Keep,
    Plain,
}

impl LayerArgs {
    /// Returns how layers are made.
    pub(crate) fn options(&self, session: &Session<'_>) -> Result<LayerOptions, Error> {
        Ok(LayerOptions {
            pack: self.pack(session)?,
            owner: self.owner()?,
            modes: match self.modes {
                None | Some(ModesArg::Keep) => Modes::Keep,
                Some(ModesArg::Plain) => Modes::Plain,
            },
            epoch: self.epoch()?,
            keep_times: self.keep_times,
            xattrs: self.xattr.clone(),
        })
    }

    /// Refuses options that would have no effect: those of layers when none is made, those of files when none are added.
    pub(crate) fn refuse_idle(&self, makes_layers: bool, adds_files: bool) -> Result<(), Error> {
        let of_layers =
            [("--compression", self.compression.is_some()), ("--compression-level", self.compression_level.is_some())];
        let of_files = [
            ("--owner", self.owner.is_some()),
            ("--modes", self.modes.is_some()),
            ("--source-date-epoch", self.source_date_epoch.is_some()),
            ("--keep-times", self.keep_times),
            ("--xattr", !self.xattr.is_empty()),
        ];
        let refuse = |option: &str, why: &str, hint: &str| {
            let message = format!("cannot use {option}: {why}");
            Err(Error::Usage { message, hint: Some(hint.to_owned()) })
        };
        match (of_layers.iter().find(|it| it.1), of_files.iter().find(|it| it.1)) {
            (Some((option, _)), _) if !makes_layers => {
                let hint = "it is for --add and --squash; `barge convert` packs the layers that are there otherwise";
                refuse(option, "no layer is made", hint)
            }
            (_, Some((option, _))) if !adds_files => refuse(option, "no files are added", "it is for --add"),
            _ => Ok(()),
        }
    }

    /// Returns how layers are packed.
    fn pack(&self, session: &Session<'_>) -> Result<PackOptions, Error> {
        let compression = self.compression.unwrap_or(CompressionArg::Gzip).into();
        let level = self.compression_level.unwrap_or_else(|| PackOptions::usual_level(compression));
        let levels = PackOptions::levels(compression);
        if !levels.contains(&level) {
            return Err(Error::Usage {
                message: format!(
                    "cannot pack with level {level}: {compression} has {} to {}",
                    levels.start(),
                    levels.end()
                ),
                hint: None,
            });
        }
        Ok(PackOptions { compression, level, jobs: session.global.jobs() })
    }

    /// Returns whose added files are to be.
    fn owner(&self) -> Result<Option<Owner>, Error> {
        let Some(text) = &self.owner else { return Ok(None) };
        if text == "keep" {
            return Ok(Some(Owner::Keep));
        }
        let (uid, gid) = text.split_once(':').unwrap_or((text, text));
        match (uid.parse(), gid.parse()) {
            (Ok(uid), Ok(gid)) => Ok(Some(Owner::Is { uid, gid })),
            _ => Err(Error::Usage {
                message: format!("cannot use the owner {}", quoted(text)),
                hint: Some("give numbers, UID or UID:GID, or keep".to_owned()),
            }),
        }
    }

    /// Returns the moment when everything is made.
    fn epoch(&self) -> Result<i64, Error> {
        if let Some(text) = &self.source_date_epoch {
            return moment::read(text);
        }
        let variable = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.is_empty());
        variable.map_or(Ok(0), |text| {
            moment::read(&text).map_err(|error| match error {
                Error::Usage { message, .. } => {
                    let hint = "set SOURCE_DATE_EPOCH to seconds since 1970, or unset it".to_owned();
                    Error::Usage { message, hint: Some(hint) }
                }
                other => other,
            })
        })
    }
}
