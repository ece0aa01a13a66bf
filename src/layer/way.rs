//! How far a way may lead. A link may send whoever follows it up and down as often as its target has room for, and the next
//! link again: so both are counted.

/// How many links are followed on the way to one thing, as Linux does.
pub(super) const MOST_LINKS: usize = 40;
/// How many directories are gone through on the way to one thing: more than the longest name has parts.
const MOST_STEPS: usize = 2048;

/// A way under way.
#[derive(Debug, Default)]
pub(crate) struct Way {
    links: usize,
    steps: usize,
}

impl Way {
    /// Counts a part of a path. Going back to the directory above is gone from the root anew, since the directory could
    /// have been moved: `depth` is how far down one is.
    ///
    /// # Errors
    /// In words, when it is one too many.
    pub(crate) fn step(&mut self, part: &[u8], depth: usize) -> Result<(), String> {
        self.steps += if part == b".." { depth.max(1) } else { 1 };
        if self.steps > MOST_STEPS {
            return Err(format!(
                "the way to it is too long: its links lead through more than {MOST_STEPS} directories"
            ));
        }
        Ok(())
    }

    /// Counts a link that is followed.
    ///
    /// # Errors
    /// In words, when it is one too many.
    pub(crate) fn link(&mut self) -> Result<(), String> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err("the links on its way lead around in a circle".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_steps_are_bounded() {
        let mut way = Way::default();
        assert!((0..MOST_LINKS).all(|_| way.link().is_ok()));
        assert!(way.link().is_err());
        let mut way = Way::default();
        assert!((0..MOST_STEPS).all(|_| way.step(b"d", 400).is_ok()));
        assert!(way.step(b"d", 0).is_err());
        // up from far below costs what it takes
        let mut way = Way::default();
        assert!((0..5).all(|_| way.step(b"..", 400).is_ok()));
        assert!(way.step(b"..", 400).is_err());
        assert!(Way::default().step(b"..", 0).is_ok());
    }
}
