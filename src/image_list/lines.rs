//! Text files: one reference a line.

use crate::reference::ImageName;

/// Returns whether text is a document of YAML or JSON, as its first line says that is neither empty nor a comment: it begins
/// one, or has a key. No reference does.
pub(super) fn is_document(text: &str) -> bool {
    let Some((_, _, first)) = words(text).next() else { return false };
    // a registry may begin with a bracket: [::1]:5000/app
    if ImageName::parse(first).is_ok() {
        return false;
    }
    let begins = ["{", "[", "---", "%YAML", "- "].iter().any(|begin| first.starts_with(begin));
    begins || first.contains(": ") || first.ends_with(':')
}

/// Returns what stands on each line, with the line and the character at which it begins; `#` begins a comment.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let words = text.lines().enumerate().map(|(number, line)| {
        let line = line.split('#').next().unwrap_or_default();
        let before = line.chars().take_while(|character| character.is_whitespace()).count();
        (number + 1, before + 1, line.trim())
    });
    words.filter(|(.., word)| !word.is_empty())
}
