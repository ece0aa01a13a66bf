//! `barge verify`

use std::path::PathBuf;

use barge::content::total;
use barge::error::Class;
use barge::ops::Error;
use barge::ops::copy::Extent;
use barge::ops::lookup::{name_of, select};
use barge::ops::manifest::elsewhere;
use barge::ops::verify::{Depth, Problem, Status, Verified, verify};
use barge::store::Source as _;
use barge::text::{escaped, human_size};
use clap::Args;
use serde_json::{Value, json};

use super::network::NetworkArgs;
use super::report::{Failure, Report};
use super::signed::{Required, VerifyKeyArgs};
use super::terminal::{Ink, Surface};
use super::write::count;
use super::{Session, packed};

/// Check every reachable byte of a place or an image, and list everything wrong.
///
/// Sizes and digests of all blobs, documents against each other, platforms, names. Nothing is unpacked, not even from an
/// archive. Exit code 4 when anything is wrong.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge verify bundle.tar
  barge verify --deep dist:ghcr.io/org/app:v1
  barge verify --verify-key release.pub bundle.tar   # the bundle is signed
  barge verify --key release.pub dist:app:v1         # the image is signed, by barge or cosign")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    signed: VerifyKeyArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Refuse images that this public key, or another one given so, has not signed (can be repeated)
    #[arg(long, value_name = "KEY")]
    key: Vec<PathBuf>,
    /// Unpack layers too, and check the diff_ids of the configs
    #[arg(long)]
    deep: bool,
    /// Places, or images in them [default: the current layout]
    #[arg(value_name = "PLACE|REF")]
    references: Vec<String>,
}

pub(crate) fn run(args: &VerifyArgs, session: &Session<'_>) -> Result<Report, Error> {
    let depth = if args.deep { Depth::DiffIds } else { Depth::Digests };
    let trust = args.signed.read()?;
    let places = super::ls::places(&args.references, session)?;
    let signers = trust.check(places.iter().map(|(store, ..)| store), session)?;
    let required = Required::by(&args.key)?;
    let mut signatures = Vec::new();
    for (store, selector, _) in places.iter().filter(|_| required.is_asked_for()) {
        let (images, extent) = match selector {
            Some(_) => (select(store, selector.as_ref())?, Extent::Chosen),
            None => (store.roots()?, Extent::Whole),
        };
        signatures.push(required.check(store, &images, extent, session)?);
    }
    let mut report = Report::default();
    let mut problems = 0;
    let mut damaged: Vec<String> = Vec::new();
    let mut bytes = 0;
    for (at, (store, selector, label)) in places.into_iter().enumerate() {
        let verified = verify(&store, selector.as_ref(), depth, session.global.jobs(), &session.cancel, &session.ui)?;
        session.ui.finish();
        problems += verified.problems.len() as u64 + verified.more_problems;
        damaged.extend(
            verified.problems.iter().filter(|it| it.status == Status::DamagedPart).map(|it| it.subject.clone()),
        );
        bytes += verified.bytes;
        report.text.extend_from_slice(as_text(Surface::out(), &label, &verified).as_bytes());
        if !verified.problems.is_empty() {
            for root in select(&store, selector.as_ref()).unwrap_or_default() {
                if let Some(registries) = elsewhere(&root) {
                    let name = name_of(&root).map_or_else(|| root.digest().short(), escaped);
                    let note =
                        format!("{label}: note: {name} is a sparse list: what it lacks here is in {registries}\n");
                    report.text.extend_from_slice(Surface::out().fold(&note, 2).as_bytes());
                }
            }
        }
        let signed = (signers.get(at), signatures.get(at).map(Vec::as_slice).unwrap_or_default());
        report.results.push(as_json(&store.location().to_string(), &verified, signed));
    }
    report.stats.insert("bytes".to_owned(), json!(bytes));
    report.stats.insert("problems".to_owned(), json!(problems));
    if problems > 0 {
        report.failure = Some(Failure {
            class: Class::Content,
            message: format!("{} found", count(problems, "problem")),
            hint: Some(match damaged.as_slice() {
                [] => "what is missing or wrong has to be copied again from where it was made".to_owned(),
                parts => {
                    format!("copy {} again from where it was made: the other parts are right", parts.join(" and "))
                }
            }),
        });
    }
    Ok(report)
}

fn as_text(surface: Surface, label: &str, verified: &Verified) -> String {
    let mut text = String::new();
    let say = |line: &str| format!("{}\n", surface.fold(&format!("{label}: {line}"), 2));
    for problem in &verified.problems {
        text.push_str(&say(&problem_as_text(problem)));
    }
    if verified.more_problems > 0 {
        text.push_str(&say(&format!("and {}", count(verified.more_problems, "more problem"))));
    }
    let unpacked = match verified.unpacked {
        0 => String::new(),
        number => format!(", {} unpacked", count(number, "layer")),
    };
    let (result, ink) = if verified.problems.is_empty() { ("ok", Ink::Good) } else { ("NOT ok", Ink::Bad) };
    let (images, pieces, size) = (verified.images, verified.pieces, human_size(verified.bytes));
    let (images, pieces) = (count(images as u64, "image"), count(pieces, "blob"));
    let parts = match verified.parts {
        0 => String::new(),
        number => format!(", in {}", count(number as u64, "part")),
    };
    let verdict = say(&format!("{result}: {images}, {pieces}, {size} checked{unpacked}{parts}"));
    text.push_str(&verdict.replacen(&format!(": {result}: "), &format!(": {}: ", surface.paint(ink, result)), 1));
    if verified.cut > 0 {
        let pieces = count(verified.cut, "piece");
        text.push_str(&say(&format!(
            "note: {pieces} of larger blobs, not checked: `sha256sum -c` checks the part, `barge load` the whole"
        )));
    }
    if verified.left_out.0 > 0 {
        let (blobs, size) = (count(verified.left_out.0, "blob"), human_size(verified.left_out.1));
        text.push_str(&say(&format!("note: a delta: {blobs}, {size}, of it have to be where it is taken to")));
    }
    if verified.compact > 0 {
        let layers = count(verified.compact, "layer");
        text.push_str(&say(&format!("note: compact: {layers} made again, to the byte")));
    }
    if verified.lacking_base.0 > 0 {
        let (layers, size) = (count(verified.lacking_base.0, "layer"), human_size(verified.lacking_base.1));
        let of =
            verified.made.as_ref().and_then(packed::needed).map(|names| format!(" of {names}")).unwrap_or_default();
        text.push_str(&say(&format!(
            "note: {layers}, {size}, not checked: layers{of} are needed to make them; give a layout that has those with -L DIR"
        )));
    }
    if !verified.unreferenced.is_empty() {
        let size = human_size(total(verified.unreferenced.iter().map(|(_, size)| *size)));
        let blobs = count(verified.unreferenced.len() as u64, "unreferenced blob");
        text.push_str(&say(&format!("note: {blobs}, {size}")));
    }
    text
}

fn problem_as_text(problem: &Problem) -> String {
    format!("{}: {} ({}): {}", problem.status.name(), problem.subject, problem.about, problem.detail)
}

fn as_json(place: &str, verified: &Verified, (signer, signatures): (Option<&String>, &[Value])) -> Value {
    let problem = |problem: &Problem| {
        json!({"digest": problem.subject, "status": problem.status.name(), "about": problem.about,
            "referencedBy": problem.referenced_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "detail": problem.detail})
    };
    json!({"place": place, "ok": verified.problems.is_empty(), "images": verified.images, "blobs": verified.pieces,
        "bytes": verified.bytes, "unpacked": verified.unpacked, "parts": verified.parts, "signedBy": signer,
        "signatures": signatures,
        "inBase": verified.left_out.0, "inBaseBytes": verified.left_out.1,
        "compact": verified.compact, "lackingBase": verified.lacking_base.0, "lackingBaseBytes": verified.lacking_base.1,
        "compactArchive": packed::as_json(verified.made.as_ref()),
        "problems": verified.problems.iter().map(problem).collect::<Vec<_>>(), "moreProblems": verified.more_problems,
        "unreferenced": verified.unreferenced.iter().map(|(digest, _)| digest.to_string()).collect::<Vec<_>>()})
}
