//! What registries do that they should not, a row for each, with the reason why it is tried. Each row is run through every
//! command that asks for that (`ordeal.rs` says what must hold in all of them).
//!
//! | file | what misbehaves |
//! |---|---|
//! | `manifests.rs` | what a name means, and what is said of it |
//! | `content.rs` | configs and layers |
//! | `lists.rs` | tags, repositories, referrers |
//! | `doors.rs` | who may ask: challenges and tokens |
//! | `taking.rs` | what is pushed, and what is said of it |
//! | `lines.rs` | HTTP itself, TLS, the connection |
//! | `elsewhere.rs` | where a registry sends us |

mod content;
mod doors;
mod elsewhere;
mod lines;
mod lists;
mod manifests;
mod taking;

use std::io::Write as _;

use crate::ordeal::Scene;
use crate::registry::{Answer, Rule};
use crate::support::image::MANIFEST;

/// What is said to whoever asks what a name means.
fn manifest(change: impl Fn(Rule) -> Rule + 'static) -> impl Fn(&Scene) -> Vec<Rule> {
    move |_| vec![change(Rule::on("GET", "/v2/app/manifests/*"))]
}

/// An answer with a body that is called a manifest.
fn called_manifest(body: impl Into<Vec<u8>>) -> Answer {
    Answer::status(200).header("Content-Type", MANIFEST).body(body)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of the manifest of `app:v1`.
fn right(scene: &Scene) -> Vec<u8> {
    scene.images.blobs[&scene.manifest].clone()
}

/// A list that is small on the wire and large in memory.
fn objects(count: usize) -> String {
    format!("[{}0]", r#"{"":0},"#.repeat(count))
}

/// An answer of the wire: what is said in the head, and a body.
fn wire(head: &str, body: &[u8]) -> Answer {
    // the connection ends with it: a client that is not told may be about to use it again
    let closing: &[u8] = if head.contains("Connection:") { b"" } else { b"\r\nConnection: close" };
    Answer::raw([head.as_bytes(), closing, b"\r\n\r\n", body].concat())
}
