//! What images are called where they arrive: a name with fields of the old one in it.

use std::fmt;

use crate::digest::Digest;
use crate::reference::ImageName;
use crate::text::{nearest, quoted};

/// The longest template, in bytes.
const LONGEST: usize = 1024;
/// The fields.
const FIELDS: [&str; 5] = ["registry", "repository", "name", "tag", "digest"];

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(usize),
}

/// What is known of an image, for a template to use.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The registry, `HOST[:PORT]`.
    pub registry: Option<&'a str>,
    /// The path in the registry.
    pub repository: Option<&'a str>,
    /// The tag.
    pub tag: Option<&'a str>,
    /// The digest.
    pub digest: &'a Digest,
}

impl Template {
    /// Reads a template: text, and fields in braces.
    ///
    /// # Errors
    /// What is wrong with it and what to do, when a field is unknown or does not end, or what comes out can never be a name
    /// with a tag.
    pub fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        if text.len() > LONGEST {
            return Err((format!("it is longer than {LONGEST} bytes"), None));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((field, after)) = after.split_once('}') else {
                return Err(("a { in it does not end".to_owned(), None));
            };
            let Some(number) = FIELDS.iter().position(|known| *known == field) else {
                let hint = nearest(field, FIELDS).map_or_else(
                    || format!("the fields are {{{}}}", FIELDS.join("}, {")),
                    |near| format!("did you mean {{{near}}} ?"),
                );
                return Err((format!("it has no field {}", quoted(field)), Some(hint)));
            };
            refuse_end(before)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Field(number));
            rest = after;
        }
        refuse_end(rest)?;
        pieces.push(Piece::Text(rest.to_owned()));
        let template = Self { pieces };
        let digest = Digest::of(b"");
        let sample =
            Parts { registry: Some("registry.example"), repository: Some("a/b"), tag: Some("tag"), digest: &digest };
        template.apply(&sample).map_err(|reason| (reason, None))?;
        Ok(template)
    }

    /// Returns the name of an image.
    ///
    /// # Errors
    /// Why not, when a field of the image is absent that the template uses, or what comes out is no name with a tag.
    pub fn apply(&self, parts: &Parts<'_>) -> Result<ImageName, String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Field(number) => {
                    let hex;
                    let value = match FIELDS[*number] {
                        "registry" => parts.registry,
                        "repository" => parts.repository,
                        "name" => parts.repository.and_then(|path| path.rsplit('/').next()),
                        "tag" => parts.tag,
                        _ => {
                            hex = parts.digest.hex();
                            Some(hex.as_str())
                        }
                    };
                    text.push_str(value.ok_or_else(|| format!("the image has no {}", FIELDS[*number]))?);
                }
            }
        }
        let name = ImageName::parse(&text).map_err(|error| error.to_string())?;
        match (name.tag(), name.digest()) {
            (Some(_), None) => Ok(name),
            (_, Some(_)) => Err(format!("{} has a digest, which is not given: it follows", quoted(&text))),
            (None, None) => Err(format!("{} has no tag", quoted(&text))),
        }
    }
}

/// Refuses a brace that ends what has not begun.
fn refuse_end(text: &str) -> Result<(), (String, Option<String>)> {
    if text.contains('}') { Err(("a } in it has no beginning".to_owned(), None)) } else { Ok(()) }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(&crate::text::escaped(text)),
            Piece::Field(number) => write!(f, "{{{}}}", FIELDS[*number]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_makes_a_name_or_says_why_not() {
        let digest = Digest::of(b"x");
        let parts = Parts { registry: Some("quay.io"), repository: Some("org/app"), tag: Some("v1"), digest: &digest };
        for (text, expected) in [
            ("registry.example/mirror/{repository}:{tag}", "registry.example/mirror/org/app:v1".to_owned()),
            ("{registry}/x-{name}:{tag}-copy", "quay.io/x-app:v1-copy".to_owned()),
            ("app:v2", "docker.io/library/app:v2".to_owned()),
            ("r.example/{name}:{digest}", format!("r.example/app:{}", digest.hex())),
        ] {
            assert_eq!(Template::parse(text).unwrap().apply(&parts).unwrap().to_string(), expected);
        }
        let bare = Parts { registry: None, repository: None, tag: None, digest: &digest };
        assert_eq!(Template::parse("a:{tag}").unwrap().apply(&bare).unwrap_err(), "the image has no tag");
        for (text, said) in [
            ("{repositry}:{tag}", "it has no field \"repositry\""),
            ("{tag", "a { in it does not end"),
            ("a}:{tag}", "a } in it has no beginning"),
            ("{repository}", "\"a/b\" has no tag"),
            ("r.example/Mirror:{tag}", "cannot use \"r.example/Mirror:tag\" as an image name"),
            ("a@sha256:{digest}", "has a digest"),
        ] {
            let (reason, _) = Template::parse(text).unwrap_err();
            assert!(reason.contains(said), "{text}: {reason}");
        }
    }
}
