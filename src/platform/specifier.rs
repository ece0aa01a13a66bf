//! The specifier: a platform as people type it.
//!
//! `OS[(VERSION[+FEATURE...])]/ARCHITECTURE[/VARIANT]` and the lone word as in containerd/platforms, and
//! `OS/ARCHITECTURE[/VARIANT]:VERSION` as in crane and regctl.

use std::str::FromStr;

use super::{Platform, is_plain};

/// The operating systems for which a lone word can stand: those of containerd/platforms.
const SYSTEMS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// The architectures for which a lone word can stand: those of containerd/platforms.
const ARCHITECTURES: [&str; 24] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// Other words that normalisation understands, for which a slip is looked up too.
const ALIASES: [&str; 6] = ["aarch64", "armel", "armhf", "i386", "x86-64", "x86_64"];

/// Words of compilers, distributions and image names for an architecture that images call otherwise. Taken as they are
/// they would match nothing, or make an image that nothing runs.
const OTHER_WORDS: [(&str, &str); 20] = [
    ("arm32", "arm/v7"),
    ("arm32v5", "arm/v5"),
    ("arm32v6", "arm/v6"),
    ("arm32v7", "arm/v7"),
    ("arm64v8", "arm64"),
    ("armv5", "arm/v5"),
    ("armv6", "arm/v6"),
    ("armv6l", "arm/v6"),
    ("armv7", "arm/v7"),
    ("armv7l", "arm/v7"),
    ("armv8", "arm64"),
    ("i486", "386"),
    ("i586", "386"),
    ("i686", "386"),
    ("mips64el", "mips64le"),
    ("mipsel", "mipsle"),
    ("powerpc64le", "ppc64le"),
    ("ppc64el", "ppc64le"),
    ("x64", "amd64"),
    ("x86", "386"),
];

/// Why a text is not a platform that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {} as a platform: {reason}", crate::text::quoted(.specifier))]
pub struct PlatformError {
    specifier: String,
    reason: String,
    hint: String,
}

impl PlatformError {
    pub(super) fn new(specifier: &str, reason: impl Into<String>) -> Self {
        let hint = "write OS/ARCHITECTURE[/VARIANT], for example linux/amd64 or linux/arm/v7".to_owned();
        Self { specifier: specifier.to_owned(), reason: reason.into(), hint }
    }

    pub(super) fn or(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Returns what to write instead.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

/// Parses a specifier into a normalised platform. A lone word is an operating system if it is a known one, else a known
/// architecture; the other half is that of [`Platform::local`].
///
/// # Errors
///
/// When it is not of that form, and when the OS or the architecture is one slip away from a known name, or a known word
/// that images do not use. Names that are merely unknown are taken: there are platforms yet to come.
impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(specifier: &str) -> Result<Self, PlatformError> {
        let error = |reason: &str| PlatformError::new(specifier, reason);
        let (head, after_colon) = match specifier.split_once(':') {
            Some((head, version)) => (head, Some(version)),
            None => (specifier, None),
        };
        let parts: Vec<&str> = head.splitn(4, '/').collect();
        let (os, options) = match parts[0].split_once('(') {
            Some((os, rest)) => {
                (os, Some(rest.strip_suffix(')').ok_or_else(|| error("its \"(\" is not closed before the \"/\""))?))
            }
            None => (parts[0], None),
        };
        for name in std::iter::once(&os).chain(&parts[1..]) {
            if name.is_empty() {
                return Err(error("a part of it is empty"));
            }
            if !name.chars().all(is_plain) {
                return Err(error("a name holds only letters, digits, \"_\", \".\" and \"-\""));
            }
        }

        let (mut os_version, os_features) = options.map_or(Ok((None, Vec::new())), parse_options).map_err(error)?;
        if let Some(version) = after_colon {
            if options.is_some() {
                return Err(error("it gives the OS version both in parentheses and after a colon"));
            }
            if version.is_empty() || !version.chars().all(is_plain) {
                return Err(error("after the colon stands no OS version of letters, digits, \"_\", \".\" and \"-\""));
            }
            os_version = Some(version.to_owned());
        }

        let (architecture, variant) = match parts[..] {
            [_] => return lone(specifier, os, os_version, os_features, options.is_some()),
            [_, architecture] => (architecture, None),
            [_, architecture, variant] => (architecture, Some(variant)),
            _ => return Err(error("it has more than three parts")),
        };
        let asked = Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            os_version,
            os_features,
        }
        .normalized();
        check_names(specifier, &asked)?;
        Ok(asked)
    }
}

fn lone(
    specifier: &str,
    word: &str,
    os_version: Option<String>,
    os_features: Vec<String>,
    options: bool,
) -> Result<Platform, PlatformError> {
    let local = Platform::local();
    let system = Platform { os: word.to_owned(), ..local.clone() }.normalized();
    if is_system(&system.os) {
        return Ok(Platform { os_version, os_features, ..system }.normalized());
    }
    let machine = Platform { os: local.os, architecture: word.to_owned(), ..Platform::default() }.normalized();
    if is_architecture(&machine.architecture) {
        if options || os_version.is_some() {
            return Err(PlatformError::new(specifier, "an OS version or feature needs its OS before it"));
        }
        return Ok(machine);
    }
    let error = PlatformError::new(specifier, "it is neither a known OS nor a known architecture");
    let word = word.to_ascii_lowercase();
    Err(match system_like(&word).or_else(|| architecture_like(&word)) {
        Some(meant) => error.or(format!("did you mean {meant}?")),
        None => error,
    })
}

/// Refuses what is more likely a slip than a platform nobody here has heard of.
fn check_names(specifier: &str, asked: &Platform) -> Result<(), PlatformError> {
    let Platform { os, architecture, variant, .. } = asked;
    let rest = variant.as_deref().map(|variant| format!("/{variant}")).unwrap_or_default();
    if is_architecture(os) && is_system(architecture) {
        return Err(PlatformError::new(specifier, "the OS comes first, then the architecture")
            .or(format!("did you mean {architecture}/{os}{rest}?")));
    }
    if let Some(meant) = system_like(os) {
        return Err(PlatformError::new(specifier, format!("there is no OS {os}"))
            .or(format!("did you mean {meant}/{architecture}{rest}?")));
    }
    if let Some(meant) = architecture_like(architecture) {
        let rest = if meant.contains('/') { "" } else { &rest };
        return Err(PlatformError::new(specifier, format!("images name no architecture {architecture}"))
            .or(format!("did you mean {os}/{meant}{rest}?")));
    }
    Ok(())
}

fn is_system(os: &str) -> bool {
    SYSTEMS.contains(&os)
}

fn is_architecture(architecture: &str) -> bool {
    ARCHITECTURES.contains(&architecture)
}

fn system_like(word: &str) -> Option<&'static str> {
    if is_system(word) { None } else { SYSTEMS.into_iter().find(|known| is_a_slip(word, known)) }
}

fn architecture_like(word: &str) -> Option<&'static str> {
    if is_architecture(word) {
        return None;
    }
    let other = OTHER_WORDS.into_iter().find_map(|(theirs, ours)| (theirs == word).then_some(ours));
    other.or_else(|| ARCHITECTURES.into_iter().chain(ALIASES).find(|known| is_a_slip(word, known)))
}

/// Returns whether a word is a known one with one character added, left out, changed, or two exchanged. Names of three
/// characters are not looked at: `arc` is an architecture of its own, not a slip for `arm`.
fn is_a_slip(word: &str, known: &str) -> bool {
    if known.len() < 4 {
        return false;
    }
    let (a, b) = (word.as_bytes(), known.as_bytes());
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    match (&a[..a.len() - end], &b[..b.len() - end]) {
        ([] | [_], [_]) | ([_], []) => true,
        ([a, middle @ .., b], [c, same @ .., d]) => a == d && b == c && middle == same,
        _ => false,
    }
}

/// Parses what stands in the parentheses: `[VERSION][+FEATURE...]`, each with `%XX` for what has a meaning here.
fn parse_options(options: &str) -> Result<(Option<String>, Vec<String>), &'static str> {
    let mut values = options.split('+').map(decode);
    let version = values.next().transpose()?.filter(|version| !version.is_empty());
    let features = values.collect::<Result<Vec<String>, _>>()?;
    if features.iter().any(String::is_empty) {
        return Err("an OS feature is empty");
    }
    Ok((version, features))
}

fn decode(text: &str) -> Result<String, &'static str> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character == '%' {
            let mut digit = || rest.next().and_then(|digit| digit.to_digit(16));
            let code = digit().zip(digit()).map(|(high, low)| high << 4 | low).and_then(char::from_u32);
            let code = code.ok_or("a \"%\" is not followed by two hex digits")?;
            if !(' '..='~').contains(&code) {
                return Err("a \"%\" stands for something that cannot be printed");
            }
            decoded.push(code);
        } else if is_plain(character) {
            decoded.push(character);
        } else {
            return Err("an OS version or feature holds only letters, digits, \"_\", \".\", \"-\" and %XX");
        }
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_specifier_gives_the_normalised_platform() {
        let local = Platform::local();
        let on = |os: &str| Platform { os: os.to_owned(), ..local.clone() }.to_string();
        let with = |rest: &str| format!("{}/{rest}", local.os);
        for (specifier, printed) in [
            ("linux/arm64", "linux/arm64".to_owned()),
            ("linux/arm64/v8", "linux/arm64".to_owned()),
            ("linux/arm", "linux/arm/v7".to_owned()),
            ("linux/arm/v6", "linux/arm/v6".to_owned()),
            ("Linux/x86_64", "linux/amd64".to_owned()),
            ("unknown/unknown", "unknown/unknown".to_owned()),
            ("linux/loongarch64", "linux/loongarch64".to_owned()),
            ("wasi/wasm", "wasi/wasm".to_owned()),
            ("freebsd/riscv64", "freebsd/riscv64".to_owned()),
            ("linux/arc", "linux/arc".to_owned()),
            ("arm", with("arm/v7")),
            ("armel", with("arm/v6")),
            ("armhf", with("arm/v7")),
            ("Aarch64", with("arm64")),
            ("x86_64", with("amd64")),
            ("i386", with("386")),
            ("s390x", with("s390x")),
            ("linux", on("linux")),
            ("macOS", on("darwin")),
            ("windows", on("windows")),
            ("windows()", on("windows")),
            ("windows(10.0.17763)", on("windows").replace("windows", "windows(10.0.17763)")),
            ("windows:10.0.17763", on("windows").replace("windows", "windows(10.0.17763)")),
            ("windows(10.0.17763+win32k)/amd64", "windows(10.0.17763+win32k)/amd64".to_owned()),
            ("windows/amd64:10.0.17763.1", "windows(10.0.17763.1)/amd64".to_owned()),
            ("linux/arm/v6:5", "linux(5)/arm/v6".to_owned()),
            ("linux(+gpu+simd)/amd64", "linux(+gpu+simd)/amd64".to_owned()),
            ("linux(+unsorted+erofs)/amd64", "linux(+erofs+unsorted)/amd64".to_owned()),
            ("windows(10.0%2bbuild+a%2Bb)/amd64", "windows(10.0%2Bbuild+a%2Bb)/amd64".to_owned()),
            ("windows(50%25done)/amd64", "windows(50%25done)/amd64".to_owned()),
        ] {
            let platform: Platform = specifier.parse().unwrap();
            assert_eq!(platform.to_string(), printed, "{specifier}");
            assert_eq!(platform, platform.normalized(), "{specifier}");
            assert_eq!(printed.parse::<Platform>().unwrap(), platform, "{specifier}");
        }
        let decoded: Platform = "windows(10.0%2bbuild+a%2Bb)/amd64".parse().unwrap();
        assert_eq!(
            (decoded.os_version.as_deref(), &decoded.os_features[..]),
            (Some("10.0+build"), &["a+b".into()][..])
        );
    }

    #[test]
    fn what_is_no_specifier_is_refused() {
        for (specifier, reason) in [
            ("", "a part of it is empty"),
            ("/", "a part of it is empty"),
            ("/linux/arm", "a part of it is empty"),
            ("linux/arm/", "a part of it is empty"),
            ("linux /arm", "a name holds only"),
            ("linux/&arm", "a name holds only"),
            ("linux/*", "a name holds only"),
            ("linux/amd64,linux/arm64", "a name holds only"),
            ("linux/\u{1b}[2J", "a name holds only"),
            ("linux/arm/foo/bar", "more than three parts"),
            ("linux(1/amd64", "not closed"),
            ("linux)/amd64", "a name holds only"),
            ("linux(1)(2)/amd64", "holds only letters, digits"),
            ("linux/amd64(1)", "a name holds only"),
            ("linux(++)/amd64", "feature is empty"),
            ("linux(+)/amd64", "feature is empty"),
            ("linux(%2)/amd64", "two hex digits"),
            ("linux(%1b)/amd64", "cannot be printed"),
            ("linux(%C3%A9)/amd64", "cannot be printed"),
            ("linux/amd64:", "no OS version"),
            ("linux/amd64:1:2", "no OS version"),
            ("windows(1)/amd64:2", "both in parentheses and after a colon"),
            ("amd64:10.0", "needs its OS"),
            ("amd64()", "needs its OS"),
            ("fridge", "neither a known OS nor a known architecture"),
        ] {
            let error = specifier.parse::<Platform>().unwrap_err();
            assert!(error.to_string().contains(reason), "{specifier:?}: {error}");
            assert!(!error.to_string().contains('\u{1b}'), "{specifier:?}: {error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        for (specifier, meant) in [
            ("linux/adm64", "linux/amd64"),
            ("linux/amd46", "linux/amd64"),
            ("linux/amd6", "linux/amd64"),
            ("linux/amd644", "linux/amd64"),
            ("linux/arm46/v8", "linux/arm64/v8"),
            ("linux/arch64", "linux/aarch64"),
            ("linux/x86", "linux/386"),
            ("linux/armv7l", "linux/arm/v7"),
            ("linux/ARM32V6", "linux/arm/v6"),
            ("linux/armv7/v7", "linux/arm/v7"),
            ("lunix/amd64", "linux/amd64"),
            ("window/amd64", "windows/amd64"),
            ("amd64/linux", "linux/amd64"),
            ("adm64", "amd64"),
            ("liunx", "linux"),
            ("x64", "amd64"),
        ] {
            let hint = specifier.parse::<Platform>().unwrap_err().hint();
            assert_eq!(hint, Some(format!("did you mean {meant}?")), "{specifier}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "\\PC*|[a-z0-9/():+%.,-]{0,40}") {
            if let Ok(platform) = text.parse::<Platform>() {
                prop_assert_eq!(platform.to_string().parse::<Platform>().unwrap(), platform);
            }
        }

        #[test]
        fn printing_and_parsing_agree(
            os in "linux|windows|freebsd|[a-z0-9]{6,9}x",
            architecture in "amd64|arm64|arm|386|s390x|q[a-z0-9]{6,9}",
            variant in prop::option::of("v[0-9]|[A-Za-z0-9_.-]{1,5}"),
            os_version in prop::option::of("[ -~]{1,12}"),
            os_features in prop::collection::vec("[ -~]{1,6}", 0..4),
        ) {
            let platform = Platform { os, architecture, variant, os_version, os_features };
            prop_assert_eq!(platform.to_string().parse::<Platform>().unwrap().key(), platform.key());
        }

        #[test]
        fn anything_in_an_image_prints_in_one_safe_line(os in "\\PC*", architecture in any::<String>(), version in any::<String>()) {
            let platform = Platform { os, architecture, os_version: Some(version), ..Platform::default() };
            prop_assert!(!platform.to_string().chars().any(crate::text::is_unsafe));
            prop_assert_eq!(platform.key().cmp(&platform.clone().key()), std::cmp::Ordering::Equal);
        }
    }
}
