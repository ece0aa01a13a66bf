//! What a failure means to a script: the exit codes.

use std::fmt;

/// The class of a failure. The number is the exit code, and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Anything that fits no class below; for `exists` and `diff`: no.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The file, reference or platform is not there, or is ambiguous.
    Absent = 3,
    /// Content is wrong or incomplete: trying again will not help.
    Content = 4,
    /// Authentication or authorisation.
    Refused = 5,
    /// Network, TLS, or the server failed after retries: try again.
    Unreachable = 6,
    /// Some of the work failed, the rest was done.
    Partial = 7,
    /// Another process holds the layout or the archive.
    Busy = 8,
    /// It would change a digest, or is not possible.
    Unsupported = 9,
    /// Disk full, permission, read-only, I/O error.
    Machine = 10,
    /// A signal; nothing half-done is visible.
    Interrupted = 130,
}

impl Class {
    /// All of them, by exit code.
    pub const ALL: [Self; 11] = [
        Self::Failed,
        Self::Usage,
        Self::Absent,
        Self::Content,
        Self::Refused,
        Self::Unreachable,
        Self::Partial,
        Self::Busy,
        Self::Unsupported,
        Self::Machine,
        Self::Interrupted,
    ];

    /// Returns the exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        self as u8
    }

    /// Returns the word for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Absent => "absent",
            Self::Content => "content",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Partial => "partial",
            Self::Busy => "busy",
            Self::Unsupported => "unsupported",
            Self::Machine => "machine",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns what it means to a script, for the documentation.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Failed => {
                "The answer is no (`diff`, `check`, `manifest exists`), or anything that fits no class below."
            }
            Self::Usage => "The command line is wrong.",
            Self::Absent => "The file, the reference or the platform is not there, or is ambiguous.",
            Self::Content => {
                "A blob, a manifest, an archive or a signature is wrong or incomplete: trying again will not help."
            }
            Self::Refused => "Authentication or authorisation failed.",
            Self::Unreachable => "Network, TLS, or the server failed after retries: try again, state is kept.",
            Self::Partial => "Some of the work failed, the rest was done.",
            Self::Busy => "Another process holds the layout or the archive.",
            Self::Unsupported => "It would change a digest, or is not possible, without an option that says so.",
            Self::Machine => "Disk full, permission, read-only, I/O error.",
            Self::Interrupted => "A signal came; nothing half-done is visible.",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
