//! Platforms: what an image runs on, which spellings mean the same, and which images a platform takes.
//!
//! Images say the same thing in many ways (`aarch64`, `arm64`, `arm64/v8`), so nothing here compares text as it was
//! written: both sides are normalised first, by the rules of containerd/platforms v1, which docker, containerd and
//! buildkit share. Documents keep what they say; a normalised form is for comparing, sorting and printing only.

mod filter;
mod matching;
mod specifier;

use std::cmp::Ordering;
use std::fmt;

pub use filter::PlatformFilter;
pub use specifier::PlatformError;

/// A platform as a descriptor or an image configuration gives it (image-spec v1.1.1, image-index.md, "platform").
///
/// The fields hold what was written. Two spellings of one platform differ here and have one [`Platform::key`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `os`, in the words of Go's GOOS.
    pub os: String,
    /// `architecture`, in the words of Go's GOARCH.
    pub architecture: String,
    /// `variant` of the architecture.
    pub variant: Option<String>,
    /// `os.version`. Only Windows images are known to carry one.
    pub os_version: Option<String>,
    /// `os.features`, such as `win32k`.
    pub os_features: Vec<String>,
}

impl Platform {
    /// Returns the platform in the one spelling that containerd gives it: lower case, Go's words, no variant where it is
    /// the one every machine of that architecture has (`amd64/v1`, `arm64/v8`), `v7` for an `arm` that names none, and
    /// features sorted and given once.
    ///
    /// An empty variant, version or feature is the same as none. Unlike in containerd an empty `os` stays empty: there
    /// it becomes that of the machine at hand, so that one image would be two platforms on two machines.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let os = self.os.to_ascii_lowercase();
        let architecture = self.architecture.to_ascii_lowercase();
        let variant = self.variant.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            other => other,
        };
        let mut os_features: Vec<String> = self.os_features.iter().filter(|it| !it.is_empty()).cloned().collect();
        os_features.sort_unstable();
        os_features.dedup();
        Self {
            os: if os == "macos" { "darwin".to_owned() } else { os },
            architecture: architecture.to_owned(),
            variant: (!variant.is_empty()).then(|| variant.to_owned()),
            os_version: self.os_version.clone().filter(|version| !version.is_empty()),
            os_features,
        }
    }

    /// Returns what makes this platform the same as another one, in the order in which platforms are listed.
    #[must_use]
    pub fn key(&self) -> PlatformKey {
        PlatformKey(self.normalized())
    }

    /// Returns whether this is `unknown/unknown`, with which buildx marks an attestation: not a platform at all.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Returns the platform that barge was compiled for, normalised.
    ///
    /// A fact of the executable, not of the machine: an `arm` is taken for `v7`, and no level of amd64 or arm64 above
    /// the first is claimed.
    #[must_use]
    pub fn local() -> Self {
        let little = cfg!(target_endian = "little");
        let architecture = match std::env::consts::ARCH {
            "x86" => "386",
            "powerpc64" if little => "ppc64le",
            "powerpc64" => "ppc64",
            "powerpc" => "ppc",
            "loongarch64" => "loong64",
            "mips" | "mips32r6" if little => "mipsle",
            "mips64" | "mips64r6" if little => "mips64le",
            "riscv32" => "riscv",
            "wasm32" | "wasm64" => "wasm",
            other => other,
        };
        let os = std::env::consts::OS.to_owned();
        Self { os, architecture: architecture.to_owned(), ..Self::default() }.normalized()
    }
}

/// Prints the normalised form, `OS[(VERSION[+FEATURE...])]/ARCHITECTURE[/VARIANT]`, with `unknown` for what is empty.
///
/// Safe to show whatever the image says: what cannot stand in a specifier is written as `%XX`, so that an architecture
/// `arm/v7` does not look like an architecture and a variant, and what a terminal would obey is escaped. What parses as
/// a platform prints so that it parses again as the same.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { os, architecture, variant, os_version, os_features } = self.normalized();
        f.write_str(&printable(if os.is_empty() { "unknown" } else { &os }))?;
        if os_version.is_some() || !os_features.is_empty() {
            write!(f, "({}", printable(os_version.as_deref().unwrap_or_default()))?;
            for feature in &os_features {
                write!(f, "+{}", printable(feature))?;
            }
            f.write_str(")")?;
        }
        write!(f, "/{}", printable(if architecture.is_empty() { "unknown" } else { &architecture }))?;
        variant.map_or(Ok(()), |variant| write!(f, "/{}", printable(&variant)))
    }
}

/// Returns platforms as a list for a message.
#[must_use]
pub fn list(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn printable(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        let code = u32::from(character);
        if (0x20..0x7f).contains(&code) && !is_plain(character) {
            encoded.push_str(&format!("%{code:02X}"));
        } else {
            encoded.push(character);
        }
    }
    crate::text::escaped(&encoded)
}

/// What a part of a specifier may hold as it is.
const fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
}

/// What "the same platform" means: OS, architecture, variant, OS version and OS features, all normalised.
///
/// Two images of one index with the same key hide each other. Keys sort as a merged index does: by OS, architecture,
/// variant (none first, then by number: v5, v6, v7, v8), OS version by its numbers, and features.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlatformKey(Platform);

impl PlatformKey {
    /// Returns the platform, normalised.
    #[must_use]
    pub const fn platform(&self) -> &Platform {
        &self.0
    }
}

impl fmt::Display for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl PartialOrd for PlatformKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PlatformKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        (a.os.cmp(&b.os))
            .then_with(|| a.architecture.cmp(&b.architecture))
            .then_with(|| none_first(a.variant.as_deref(), b.variant.as_deref()))
            .then_with(|| none_first(a.os_version.as_deref(), b.os_version.as_deref()))
            .then_with(|| a.os_features.cmp(&b.os_features))
    }
}

fn none_first(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => by_number(a, b).then_with(|| a.cmp(b)),
        _ => a.is_some().cmp(&b.is_some()),
    }
}

/// Compares text in which every run of digits counts as one number, of any length. Equal for `v07` and `v7`.
fn by_number(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (one, two) = (chunk(&mut a), chunk(&mut b));
        let numbers =
            one.starts_with(|it: char| it.is_ascii_digit()) && two.starts_with(|it: char| it.is_ascii_digit());
        let order = if numbers {
            let (one, two) = (one.trim_start_matches('0'), two.trim_start_matches('0'));
            one.len().cmp(&two.len()).then_with(|| one.cmp(two))
        } else {
            one.cmp(two)
        };
        if order.is_ne() || one.is_empty() {
            return order;
        }
    }
}

/// Takes the longest start that is all digits or has none.
fn chunk<'a>(rest: &mut &'a str) -> &'a str {
    let digits = rest.starts_with(|it: char| it.is_ascii_digit());
    let end = rest.find(|it: char| it.is_ascii_digit() != digits).unwrap_or(rest.len());
    let (chunk, after) = rest.split_at(end);
    *rest = after;
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A platform as an image would write it: nothing is parsed, nothing normalised.
    pub(super) fn raw(os: &str, architecture: &str, variant: &str) -> Platform {
        Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: Some(variant.to_owned()),
            ..Platform::default()
        }
    }

    #[test]
    fn every_spelling_of_a_platform_has_one_key() {
        for (os, architecture, variant, normalized) in [
            ("Linux", "AMD64", "", "linux/amd64"),
            ("linux", "x86_64", "", "linux/amd64"),
            ("linux", "x86-64", "v1", "linux/amd64"),
            ("linux", "amd64", "V3", "linux/amd64/v3"),
            ("linux", "amd64", "1", "linux/amd64/1"), // containerd knows no other word for an amd64 level
            ("linux", "i386", "v9", "linux/386"),
            ("linux", "386", "sse2", "linux/386/sse2"),
            ("linux", "aarch64", "", "linux/arm64"),
            ("linux", "arm64", "8", "linux/arm64"),
            ("linux", "arm64", "v8", "linux/arm64"),
            ("linux", "Aarch64", "v8.0", "linux/arm64"),
            ("linux", "arm64", "v8.2", "linux/arm64/v8.2"),
            ("linux", "arm64", "9", "linux/arm64/v9"),
            ("linux", "arm64", "9.0", "linux/arm64/v9"),
            ("linux", "aarch64", "v9.0", "linux/arm64/v9"),
            ("linux", "arm64", "v9.2", "linux/arm64/v9.2"),
            ("linux", "armhf", "", "linux/arm/v7"),
            ("linux", "armhf", "v6", "linux/arm/v7"),
            ("linux", "armel", "", "linux/arm/v6"),
            ("linux", "arm", "", "linux/arm/v7"),
            ("linux", "arm", "7", "linux/arm/v7"),
            ("linux", "arm", "5", "linux/arm/v5"),
            ("linux", "arm", "6", "linux/arm/v6"),
            ("linux", "arm", "8", "linux/arm/v8"),
            ("linux", "arm", "v6", "linux/arm/v6"),
            ("macOS", "arm64", "v8", "darwin/arm64"),
            ("linux", "riscv64", "", "linux/riscv64"),
            ("", "", "", "unknown/unknown"),
        ] {
            let platform = raw(os, architecture, variant);
            assert_eq!(platform.to_string(), normalized, "{platform:?}");
            assert_eq!(platform.normalized(), platform.normalized().normalized(), "{platform:?}");
            assert_eq!(platform.key(), platform.normalized().key(), "{platform:?}");
            if !os.is_empty() {
                assert_eq!(normalized.parse::<Platform>().unwrap().key(), platform.key(), "{platform:?}");
            }
        }
    }

    #[test]
    fn what_is_empty_is_not_there_and_features_are_a_set() {
        let mut odd = raw("linux", "amd64", "");
        odd.os_version = Some(String::new());
        odd.os_features = ["simd", "", "gpu", "simd"].map(str::to_owned).to_vec();
        assert_eq!(odd.normalized().os_version, None);
        assert_eq!(odd.normalized().os_features, ["gpu", "simd"]);
        assert_eq!(odd.to_string(), "linux(+gpu+simd)/amd64");
    }

    #[test]
    fn keys_sort_by_numbers_where_there_are_numbers() {
        let sorted = [
            "darwin/arm64",
            "linux/386",
            "linux/amd64",
            "linux/amd64/v2",
            "linux/amd64/v3",
            "linux/amd64/v10",
            "linux/arm/v5",
            "linux/arm/v6",
            "linux/arm",
            "linux/arm/v8",
            "linux/arm64/v8",
            "linux(+gpu)/arm64",
            "linux/arm64/v8.2",
            "linux/arm64/v8.10",
            "linux/arm64/v9",
            "windows/amd64",
            "windows(10.0)/amd64",
            "windows(10.0.9600.1)/amd64",
            "windows(10.0.17763.999)/amd64",
            "windows(10.0.17763.1000)/amd64",
            "windows(10.0.20348)/amd64",
            "windows(99999999999999999999999.1)/amd64",
        ];
        let keys: Vec<PlatformKey> = sorted.iter().map(|it| it.parse::<Platform>().unwrap().key()).collect();
        for (at, pair) in keys.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{} must come before {}", sorted[at], sorted[at + 1]);
        }
        // An order that calls two keys equal which are not would lose one of them in a map.
        assert_ne!(raw("linux", "x", "v7").key().cmp(&raw("linux", "x", "v07").key()), Ordering::Equal);
    }

    #[test]
    fn text_from_an_image_cannot_pass_for_more_than_it_is() {
        let mut hostile = raw("linux\u{1b}[2J", "arm/v7", "\u{202e}x y");
        assert_eq!(hostile.to_string(), "linux\\u{1b}%5B2j/arm%2Fv7/\\u{202e}x%20y");
        hostile = raw("windows", "amd64", "");
        hostile.os_version = Some("1)/386 (+\n".to_owned());
        hostile.os_features = vec!["a+b".to_owned()];
        assert_eq!(hostile.to_string(), "windows(1%29%2F386%20%28%2B\\u{a}+a%2Bb)/amd64");
    }

    #[test]
    fn only_unknown_on_both_sides_marks_an_attestation() {
        for (os, architecture, unknown) in
            [("unknown", "unknown", true), ("linux", "unknown", false), ("unknown", "amd64", false), ("", "", false)]
        {
            assert_eq!(raw(os, architecture, "").is_unknown(), unknown, "{os}/{architecture}");
        }
    }

    #[test]
    fn the_local_platform_is_one_that_images_name() {
        let local = Platform::local();
        assert_eq!(local, local.normalized());
        assert_eq!(local.to_string().parse::<Platform>().unwrap(), local);
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert_eq!(local.to_string(), "linux/amd64");
        }
    }
}
