//! `report`: what a place holds, gathered once, and a page of it that a browser shows and a printer prints.
//!
//! | file | what it does |
//! |---|---|
//! | `survey.rs` | asks the place: images, layers, what belongs to them, what is wrong |
//! | `sharing.rs` | which layer is in which images, and what that saves |
//! | `attachment.rs` | signatures and other referrers, and what keys say of them |
//! | `html.rs` | writes HTML in which foreign text is text, whatever it is |
//! | `page/` | the page: what stands where, the pictures, the style |
//!
//! The page is one file without script and without anything to fetch, and says so to the browser by a content security policy. It
//! has no date: the same place gives the same bytes.

mod attachment;
mod html;
mod page;
mod sharing;
mod survey;
#[cfg(test)]
mod tests;

pub use self::attachment::{Attachment, Verdict};
pub use self::page::{GENERATOR, page};
pub use self::sharing::{Bytes, Layer, State};
pub use self::survey::{Bundle, Image, Survey, SurveyOptions, Variant, survey};
