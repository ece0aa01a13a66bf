//! Which images a platform takes.
//!
//! The rules are those of containerd/platforms: `OnlyStrict` for what a user asks for, `Only` for what a machine can
//! run. They differ in one point: a version that is asked for counts for every OS, not for Windows alone, because who
//! writes one does not want another.

use super::Platform;

impl Platform {
    /// Returns whether an image is for exactly this platform, however either is spelled.
    ///
    /// OS, architecture and variant must be the same after normalisation: `arm64` takes `arm64/v8` and not `arm64/v9`.
    /// A platform without an OS version takes any; with one it takes images that begin with the same numbers (of
    /// Windows, the first three: the build) and those that name none. Of OS features an image may need only those that
    /// this platform has, but for `win32k`, which every Windows image of the larger kind names.
    #[must_use]
    pub fn matches(&self, image: &Self) -> bool {
        let (wanted, image) = (self.normalized(), image.normalized());
        wanted.architecture == image.architecture && wanted.variant == image.variant && wanted.hosts(&image).is_some()
    }

    /// Returns how well an image suits a machine of this platform: 0 is best, less good is higher, `None` does not run.
    ///
    /// A machine runs what was made for its predecessors: `amd64/v3` runs v2, v1 and 386; `arm/v7` runs v6 and v5;
    /// `arm64/v9.2` runs v9.1, v9, v8.7 down to v8, and 32-bit `arm` v8 to v5. Of images for the same processor the one
    /// that uses more of the OS features is better. Among equals the first in the index wins (image-spec v1.1.1,
    /// image-index.md, "manifests").
    #[must_use]
    pub fn rank(&self, image: &Self) -> Option<usize> {
        let (machine, image) = (self.normalized(), image.normalized());
        let used = machine.hosts(&image)?;
        let of = (image.architecture.as_str(), image.variant.as_deref());
        let at = machine.runs().iter().position(|(name, variant)| (*name, variant.as_deref()) == of)?;
        let features = machine.os_features.len();
        Some(at * (features + 1) + (features - used))
    }

    /// Returns how many of this platform's OS features an image uses, or `None` if the OS is not one for it. Both are
    /// normalised.
    fn hosts(&self, image: &Self) -> Option<usize> {
        let windows = self.os == "windows";
        let mut used = 0;
        for feature in &image.os_features {
            if self.os_features.contains(feature) {
                used += 1;
            } else if !(windows && feature == "win32k") {
                return None;
            }
        }
        let version = match (&self.os_version, &image.os_version) {
            (Some(wanted), Some(found)) => {
                let parts = if windows { 3 } else { usize::MAX };
                let mut found = found.split('.');
                wanted.split('.').take(parts).all(|part| found.next() == Some(part))
            }
            _ => true,
        };
        (self.os == image.os && version).then_some(used)
    }

    /// Lists the architectures and variants that a machine of this normalised platform runs, best first.
    fn runs(&self) -> Vec<(&str, Option<String>)> {
        let mut runs = vec![(self.architecture.as_str(), self.variant.clone())];
        let level = self.variant.as_deref().and_then(level);
        match (self.architecture.as_str(), level) {
            ("amd64", level) => {
                if let Some((level @ 2.., 0)) = level {
                    runs.extend((2..level).rev().map(|level| ("amd64", Some(format!("v{level}")))));
                    runs.push(("amd64", None));
                }
                runs.push(("386", None));
            }
            ("arm", Some((level, 0))) => runs.extend(arm_below(level)),
            ("arm64", level) => {
                let (major, minor) = match level {
                    Some(level) => level,
                    None if self.variant.is_none() => (8, 0),
                    None => return runs,
                };
                if major == 9 {
                    runs.extend((1..minor).rev().map(|minor| ("arm64", Some(format!("v9.{minor}")))));
                    if minor > 0 {
                        runs.push(("arm64", Some("v9".to_owned())));
                    }
                }
                if major == 8 || major == 9 {
                    // v9.0 is v8.5 and more, and so on to v9.4 and v8.9, the last of its line. The end is excluded.
                    let below = if major == 9 { minor.saturating_add(6).min(10) } else { minor };
                    runs.extend((1..below).rev().map(|minor| ("arm64", Some(format!("v8.{minor}")))));
                    if self.variant.is_some() {
                        runs.push(("arm64", None));
                    }
                    runs.extend(arm_below(9));
                }
            }
            _ => {}
        }
        runs
    }
}

fn arm_below<'a>(level: u8) -> impl Iterator<Item = (&'a str, Option<String>)> {
    (5..level).rev().map(|level| ("arm", Some(format!("v{level}"))))
}

/// Reads `vMAJOR[.MINOR]`. Numbers above 255 are no levels, so that no image makes the list long.
fn level(variant: &str) -> Option<(u8, u8)> {
    let version = variant.strip_prefix('v')?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(specifier: &str) -> Platform {
        specifier.parse().unwrap()
    }

    const SEEN: [&str; 34] = [
        "linux/amd64",
        "linux/amd64/v2",
        "linux/amd64/v3",
        "linux/amd64/v4",
        "linux/386",
        "linux/arm/v4",
        "linux/arm/v5",
        "linux/arm/v6",
        "linux/arm",
        "linux/arm/v8",
        "linux/arm/v9",
        "linux/arm64",
        "linux/arm64/v8.1",
        "linux/arm64/v8.2",
        "linux/arm64/v8.3",
        "linux/arm64/v8.4",
        "linux/arm64/v8.5",
        "linux/arm64/v8.6",
        "linux/arm64/v8.7",
        "linux/arm64/v8.8",
        "linux/arm64/v8.9",
        "linux/arm64/v8.10",
        "linux/arm64/v9",
        "linux/arm64/v9.1",
        "linux/arm64/v9.2",
        "linux/arm64/v9.3",
        "linux/arm64/v9.5",
        "linux/arm64/v9.6",
        "linux/riscv64",
        "linux/s390x",
        "windows/amd64",
        "windows/arm",
        "darwin/arm64",
        "unknown/unknown",
    ];

    #[test]
    fn exact_takes_one_platform_in_every_spelling() {
        for (index, wanted) in SEEN.iter().enumerate() {
            for (other, image) in SEEN.iter().enumerate() {
                assert_eq!(platform(wanted).matches(&platform(image)), index == other, "{wanted} and {image}");
            }
        }
        let raw = crate::platform::tests::raw;
        for (wanted, image) in [
            ("linux/arm64", raw("linux", "arm64", "v8")),
            ("linux/arm64/v8", raw("linux", "aarch64", "")),
            ("linux/arm", raw("Linux", "arm", "7")),
            ("linux/arm/v6", raw("linux", "armel", "")),
            ("linux/amd64", raw("linux", "x86_64", "v1")),
            ("linux/amd64/v1", raw("linux", "amd64", "")),
            ("macos/arm64", raw("darwin", "arm64", "v8.0")),
        ] {
            assert!(platform(wanted).matches(&image), "{wanted} and {image:?}");
        }
    }

    #[test]
    fn loose_takes_what_the_machine_runs_best_first() {
        for (machine, runs) in [
            ("linux/amd64", "linux/amd64 linux/386"),
            ("linux/amd64/v3", "linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/386"),
            ("linux/386", "linux/386"),
            ("windows/amd64", "windows/amd64"),
            ("linux/arm/v4", "linux/arm/v4"),
            ("linux/arm/v5", "linux/arm/v5"),
            ("linux/arm/v6", "linux/arm/v6 linux/arm/v5"),
            ("linux/arm", "linux/arm linux/arm/v6 linux/arm/v5"),
            ("linux/arm/v8", "linux/arm/v8 linux/arm linux/arm/v6 linux/arm/v5"),
            ("linux/arm64", "linux/arm64 linux/arm/v8 linux/arm linux/arm/v6 linux/arm/v5"),
            (
                "linux/arm64/v8.2",
                "linux/arm64/v8.2 linux/arm64/v8.1 linux/arm64 linux/arm/v8 linux/arm linux/arm/v6 linux/arm/v5",
            ),
            (
                "linux/arm64/v9",
                "linux/arm64/v9 linux/arm64/v8.5 linux/arm64/v8.4 linux/arm64/v8.3 linux/arm64/v8.2 linux/arm64/v8.1 \
                 linux/arm64 linux/arm/v8 linux/arm linux/arm/v6 linux/arm/v5",
            ),
            (
                "linux/arm64/v9.2",
                "linux/arm64/v9.2 linux/arm64/v9.1 linux/arm64/v9 linux/arm64/v8.7 linux/arm64/v8.6 linux/arm64/v8.5 \
                 linux/arm64/v8.4 linux/arm64/v8.3 linux/arm64/v8.2 linux/arm64/v8.1 linux/arm64 linux/arm/v8 \
                 linux/arm linux/arm/v6 linux/arm/v5",
            ),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            let mut found: Vec<(usize, &str)> =
                SEEN.iter().filter_map(|image| Some((platform(machine).rank(&platform(image))?, *image))).collect();
            found.sort_unstable();
            let found: Vec<&str> = found.into_iter().map(|(_, image)| image).collect();
            assert_eq!(found, runs.split_whitespace().collect::<Vec<_>>(), "{machine}");
            assert_eq!(platform(machine).rank(&platform(machine)), Some(0), "{machine}");
        }
        // v9.6 ends its line of v8 at v8.9: there is no v8.10 and nothing above
        assert_eq!(platform("linux/arm64/v9.6").rank(&platform("linux/arm64/v8.10")), None);
        assert!(platform("linux/arm64/v9.6").rank(&platform("linux/arm64/v8.9")).is_some());
    }

    #[test]
    fn an_odd_variant_runs_itself_and_makes_no_long_list() {
        for odd in
            ["linux/arm64/v4000000000", "linux/amd64/v99999", "linux/arm/v-1", "linux/arm64/v9.999", "linux/arm/x"]
        {
            assert_eq!(platform(odd).rank(&platform(odd)), Some(0), "{odd}");
            assert!(platform(odd).runs().len() <= 2, "{odd}");
        }
        assert!(platform("linux/arm64/v9.255").runs().len() < 300);
    }

    #[test]
    fn a_version_is_compared_as_far_as_it_is_asked_for() {
        for (wanted, image, taken) in [
            ("windows/amd64", "windows(10.0.17763.1)/amd64", true),
            ("windows(10.0.17763)/amd64", "windows/amd64", true),
            ("windows(10.0.17763)/amd64", "windows(10.0.17763.5329)/amd64", true),
            ("windows(10.0.17763.1)/amd64", "windows(10.0.17763.5329)/amd64", true),
            ("windows(10.0.17763)/amd64", "windows(10.0.20348.1)/amd64", false),
            ("windows(10.0.1776)/amd64", "windows(10.0.17763)/amd64", false),
            ("windows(10.0.17763)/amd64", "windows(10.0)/amd64", false),
            ("windows(10.0)/amd64", "windows(10.0.17763)/amd64", true),
            ("freebsd(14)/amd64", "freebsd(14.1)/amd64", true),
            ("freebsd(14.1)/amd64", "freebsd(14.2)/amd64", false),
            ("freebsd(14.1.0.1)/amd64", "freebsd(14.1.0.2)/amd64", false),
        ] {
            assert_eq!(platform(wanted).matches(&platform(image)), taken, "{wanted} and {image}");
            assert_eq!(platform(wanted).rank(&platform(image)).is_some(), taken, "{wanted} and {image}");
        }
    }

    #[test]
    fn an_image_needs_no_feature_that_is_not_there() {
        for (wanted, image, rank) in [
            ("linux/amd64", "linux(+gpu)/amd64", None),
            ("linux(+gpu)/amd64", "linux(+gpu)/amd64", Some(0)),
            ("linux(+gpu)/amd64", "linux/amd64", Some(1)),
            ("linux(+gpu)/amd64", "linux(+gpu)/386", Some(2)),
            ("linux(+gpu)/amd64", "linux/386", Some(3)),
            ("linux(+gpu)/amd64", "linux(+gpu+simd)/amd64", None),
            ("linux(+a+b+c)/amd64", "linux(+c+a)/amd64", Some(1)),
            ("linux/amd64", "linux(+win32k)/amd64", None),
            ("windows/amd64", "windows(+win32k)/amd64", Some(0)),
            ("windows/amd64", "windows(+win32k+gpu)/amd64", None),
        ] {
            assert_eq!(platform(wanted).rank(&platform(image)), rank, "{wanted} and {image}");
        }
    }
}
