//! What a refused command line is told beyond what clap finds: an argument that belongs behind an option.

use clap::Error;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Commands that take no arguments of their own, and the option that names their files, as `docker load` has it.
const FILES_BEHIND: [(&str, &str); 1] = [("barge load ", "-i")];

/// Adds what to write instead, where that is known.
pub(crate) fn advised(mut error: Error) -> Error {
    if error.kind() != ErrorKind::UnknownArgument || error.get(ContextKind::Suggested).is_some() {
        return error;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return error };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let behind = FILES_BEHIND.iter().find(|(command, _)| !word.starts_with('-') && usage.contains(command));
    if let Some((command, option)) = behind {
        let tip = StyledStr::from(format!("write '{command}{option} {word}'"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}
