//! What can become of a piece of content.

/// What became of a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written.
    Written,
    /// What was there was wrong; the right content has taken its place.
    Replaced,
    /// It was there, and is right.
    Present,
    /// It was there: a run that was interrupted had brought and checked it, and nobody has touched it since.
    Kept,
    /// It was read and checked.
    Checked,
    /// It was sent to a registry.
    Sent,
    /// A registry has taken it from another one of its repositories.
    Mounted,
    /// A registry says that it has it.
    There,
    /// It could not be read, or not be brought, or somebody asked to stop.
    Failed,
}

impl Outcome {
    /// Returns the one word for it, the same for people and for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Written => "wrote",
            Self::Replaced => "replaced",
            Self::Present => "found",
            Self::Kept => "kept",
            Self::Checked => "checked",
            Self::Sent => "sent",
            Self::Mounted => "mounted",
            Self::There => "there",
            Self::Failed => "failed",
        }
    }
}
