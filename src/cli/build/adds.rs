//! `--add SRC:DST`: what is added without a recipe, with the platform filled in.

use std::path::Path;

use barge::layer::{Context, Packed, sniff};
use barge::ops::Error;
use barge::ops::build::Add;
use barge::platform::Platform;
use barge::store::StoreError;
use barge::text::{escaped, nearest, quoted};

/// What stands between braces in SRC.
const PLACEHOLDERS: [&str; 4] = ["os", "arch", "variant", "platform"];

/// Reads `--add` for a platform, and looks at what stands there.
pub(crate) fn read(options: &[String], platform: &Platform) -> Result<Vec<Add>, Error> {
    options.iter().map(|option| one(option, platform)).collect()
}

fn one(option: &str, platform: &Platform) -> Result<Add, Error> {
    let usage = |reason: &str, hint: &str| Error::Usage {
        message: format!("cannot use --add {}: {reason}", quoted(option)),
        hint: Some(hint.to_owned()),
    };
    let pair = option.rsplit_once(':').filter(|(from, _)| !from.is_empty());
    let Some((from, to)) = pair else {
        return Err(usage("it is not SRC:DST", "write --add SRC:DST, such as --add rootfs/:/"));
    };
    if !to.starts_with('/') {
        return Err(usage("DST is no absolute path", "start it with a slash, such as --add rootfs/:/"));
    }
    let label = filled(from, platform).map_err(|name| {
        let near = nearest(&name, PLACEHOLDERS).map(|near| format!("did you mean {{{near}}}?"));
        let known = "it may hold {os}, {arch}, {variant} and {platform}, and {{ for a brace".to_owned();
        usage(&format!("{} is not known", quoted(&format!("{{{name}}}"))), &near.unwrap_or(known))
    })?;
    let path = Path::new(&label);
    let read = || StoreError::io("read", path);
    let metadata = std::fs::metadata(path).map_err(read())?;
    if metadata.is_dir() {
        return Ok(Add {
            context: Context::open(path)?,
            path: ".".to_owned(),
            to: to.to_owned(),
            label: escaped(&label),
        });
    }
    // links on the way are the user's own
    let real = std::fs::canonicalize(path).map_err(read())?;
    let (Some(above), Some(name)) = (real.parent(), real.file_name().and_then(|name| name.to_str())) else {
        return Err(usage("the name of the file is not UTF-8", "give it another name"));
    };
    let context = Context::open(above)?;
    let mut to = to.to_owned();
    // in a directory a file gets the name that was written, whatever a link of that name leads to
    if let Some(written) = path.file_name().and_then(|name| name.to_str()).filter(|written| *written != name)
        && to.ends_with('/')
        && !matches!(sniff(&context, Path::new(name))?, Packed::Tar(_))
    {
        to.push_str(written);
    }
    Ok(Add { context, path: literal(name), to, label: escaped(&label) })
}

/// Fills in the placeholders of a path; the name of one that is not known is the error.
fn filled(text: &str, platform: &Platform) -> Result<String, String> {
    let platform = platform.normalized();
    let variant = platform.variant.clone().unwrap_or_default();
    let whole = [platform.os.as_str(), platform.architecture.as_str(), variant.as_str()];
    let whole: Vec<&str> = whole.into_iter().filter(|part| !part.is_empty()).collect();
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('{') {
            filled.push('{');
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or_else(|| after.to_owned())?;
        match name {
            "os" => filled.push_str(&platform.os),
            "arch" => filled.push_str(&platform.architecture),
            "variant" => filled.push_str(&variant),
            "platform" => filled.push_str(&whole.join("/")),
            other => return Err(other.to_owned()),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Returns a name as a pattern that means it alone.
fn literal(name: &str) -> String {
    let mut pattern = String::new();
    for character in name.chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_filled_in_for_each_platform() {
        for (text, platform, expected) in [
            ("rootfs", "linux/amd64", Ok("rootfs")),
            ("bin/{os}_{arch}{variant}/app", "linux/arm/v7", Ok("bin/linux_armv7/app")),
            ("{arch}{variant}", "linux/arm64/v8", Ok("arm64")),
            ("dist/{platform}", "linux/arm/v6", Ok("dist/linux/arm/v6")),
            ("dist/{platform}", "linux/amd64", Ok("dist/linux/amd64")),
            ("a{{arch}b", "linux/amd64", Ok("a{arch}b")),
            ("{architecture}", "linux/amd64", Err("architecture")),
            ("{arch", "linux/amd64", Err("arch")),
        ] {
            let platform = platform.parse().unwrap();
            assert_eq!(filled(text, &platform), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
        assert_eq!(literal("a*[b]?\\"), "a\\*\\[b]\\?\\\\");
    }
}
