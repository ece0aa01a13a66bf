//! The `--platform` option: which platforms of an image are meant.

use super::{Platform, PlatformError};

/// The platforms that a user asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PlatformFilter {
    /// `all`, and when nothing is said: whatever is there.
    #[default]
    All,
    /// These, normalised, each once, in the order in which they were given. Never empty.
    Only(Vec<Platform>),
}

impl PlatformFilter {
    /// Parses the values of a repeatable option: each `all`, or a list with commas of `local` and specifiers. No values
    /// at all mean all platforms.
    ///
    /// # Errors
    ///
    /// When a part is empty or not a platform, and when `all` stands beside others: one of the two is a mistake.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, PlatformError> {
        let mut all = false;
        let mut wanted: Vec<Platform> = Vec::new();
        for value in values {
            for part in value.split(',').map(str::trim) {
                let platform = match part {
                    "all" => {
                        all = true;
                        continue;
                    }
                    "local" => Platform::local(),
                    specifier => specifier.parse()?,
                };
                if !wanted.contains(&platform) {
                    wanted.push(platform);
                }
            }
        }
        match (all, wanted.first()) {
            (true, Some(beside)) => Err(PlatformError::new("all", format!("{beside} is asked for beside it"))
                .or("ask for `all` alone, or for a list of platforms")),
            (_, None) => Ok(Self::All),
            (false, Some(_)) => Ok(Self::Only(wanted)),
        }
    }

    /// Returns whether nothing is left out.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Returns whether an image is for one of the platforms asked for, as [`Platform::matches`] has it.
    ///
    /// An attestation is for no platform: it follows the image that it is about, which is not decided here.
    #[must_use]
    pub fn wants(&self, image: &Platform) -> bool {
        match self {
            Self::All => true,
            Self::Only(wanted) => wanted.iter().any(|wanted| wanted.matches(image)),
        }
    }

    /// Returns the platforms asked for that none of the images is for, in the order in which they were asked for.
    #[must_use]
    pub fn unmatched<'a>(&'a self, images: &[Platform]) -> Vec<&'a Platform> {
        match self {
            Self::All => Vec::new(),
            Self::Only(wanted) => {
                wanted.iter().filter(|wanted| !images.iter().any(|image| wanted.matches(image))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platforms(list: &str) -> Vec<Platform> {
        list.split_whitespace().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn values_add_up_and_nothing_means_all() {
        assert!(PlatformFilter::parse([]).unwrap().is_all());
        assert!(PlatformFilter::parse(["all"]).unwrap().is_all());
        assert!(PlatformFilter::parse(["all", "all,all"]).unwrap().is_all());
        assert_eq!(PlatformFilter::default(), PlatformFilter::All);
        for (values, wanted) in [
            (&["linux/amd64"][..], "linux/amd64"),
            (&["linux/arm64,linux/amd64", "linux/386"], "linux/arm64 linux/amd64 linux/386"),
            (&["linux/arm64/v8, linux/aarch64", "linux/arm64"], "linux/arm64"),
        ] {
            assert_eq!(
                PlatformFilter::parse(values.iter().copied()),
                Ok(PlatformFilter::Only(platforms(wanted))),
                "{values:?}"
            );
        }
        assert_eq!(PlatformFilter::parse(["local"]), Ok(PlatformFilter::Only(vec![Platform::local()])));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for values in [&[""][..], &[","], &["linux/amd64,"], &["linux/amd64", ""], &["All"], &["linux/adm64"]] {
            assert!(PlatformFilter::parse(values.iter().copied()).is_err(), "{values:?}");
        }
        let error = PlatformFilter::parse(["linux/amd64", "all"]).unwrap_err();
        assert_eq!(error.to_string(), "cannot use \"all\" as a platform: linux/amd64 is asked for beside it");
    }

    #[test]
    fn what_was_asked_for_and_is_not_there_is_named() {
        let there = platforms("linux/amd64 linux/arm/v7 unknown/unknown");
        let all = PlatformFilter::All;
        assert!(there.iter().all(|image| all.wants(image)));
        assert!(all.unmatched(&[]).is_empty());

        let filter = PlatformFilter::parse(["linux/s390x,linux/arm,linux/386"]).unwrap();
        assert_eq!(there.iter().map(|image| filter.wants(image)).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(filter.unmatched(&there), platforms("linux/s390x linux/386").iter().collect::<Vec<_>>());
    }
}
