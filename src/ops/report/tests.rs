//! The page of more than anybody reads, and layers in memory.

use std::collections::HashMap;

use super::sharing::Sharing;
use super::*;
use crate::content::{Content, Descriptor, Kind as ContentKind};
use crate::digest::Digest;
use crate::media::{MediaType, OCI_LAYER, OCI_MANIFEST};
use crate::ops::look::{Kind, Listed};
use crate::ops::verify::{Depth, Problem, Status, Verified};
use crate::store::memory::Memory;

fn layer(text: &str) -> Descriptor {
    Descriptor::of(&OCI_LAYER.into(), text.as_bytes())
}

fn state_of(layer: &Layer) -> (State, u64, usize) {
    (layer.state, layer.saved(), layer.users.len())
}

#[test]
fn layers_that_save_most_come_first_and_each_says_whether_it_is_there() {
    let (large, small, gone, base, wrong) =
        (layer("a large one"), layer("small"), layer("it is gone"), layer("in the base"), layer("changed"));
    let mut store = Memory::new("test");
    for text in ["a large one", "small", "changed"] {
        store.add(text.as_bytes(), ContentKind::Blob);
    }
    let mut sharing = Sharing::default();
    let mut at = Vec::new();
    for (descriptor, users) in
        [(&small, 1), (&gone, 1), (&large, 1), (&base, 1), (&wrong, 1), (&large, 2), (&small, 3), (&large, 2)]
    {
        at.push(sharing.add(descriptor, (users, 0)));
    }
    assert_eq!(at, [0, 1, 2, 3, 4, 2, 0, 2]);
    let problem = Problem {
        subject: wrong.digest().to_string(),
        status: Status::DigestMismatch,
        about: String::new(),
        referenced_by: Vec::new(),
        detail: String::new(),
    };
    let left_out = HashMap::from([(*base.digest(), base.size())]);
    let order = sharing.finish(&store, &[problem], &left_out);
    let found: Vec<_> = order.layers.iter().map(|layer| (layer.digest, state_of(layer))).collect();
    assert_eq!(
        found,
        [
            (*large.digest(), (State::Here, 11, 2)),
            (*small.digest(), (State::Here, 5, 2)),
            (*base.digest(), (State::Elsewhere, 0, 1)),
            (*gone.digest(), (State::Missing, 0, 1)),
            (*wrong.digest(), (State::Wrong, 0, 1)),
        ]
    );
    assert_eq!(at.iter().map(|&at| order.position(at)).collect::<Vec<_>>(), [1, 3, 0, 2, 4, 0, 1, 0]);
    let bytes = Bytes::of(&store, &order.layers, &[], &std::collections::HashSet::new(), &[(*gone.digest(), 7)]);
    assert_eq!(bytes, Bytes { shared: 16, single: 7, unreferenced: 7, saved: 16, ..Bytes::default() });
}

fn image(number: usize, name: String, layers: Vec<usize>) -> Image {
    let digest = Digest::of(number.to_string().as_bytes());
    let listed = Listed {
        names: vec![name],
        digest,
        media_type: MediaType::new(OCI_MANIFEST),
        kind: Kind::Image,
        attached: false,
        subject: false,
        platforms: Vec::new(),
        attestations: 0,
        size: 10,
        unique: 1,
        missing: 0,
        broken: 0,
        elsewhere: false,
        left_out: 0,
        created: None,
        entries: Vec::new(),
    };
    let variant = Variant { digest, platform: None, created: None, size: Some(10), layers };
    Image { listed, variants: vec![variant], attachments: 0, signatures: 0, signers: Vec::new() }
}

fn survey_of(images: Vec<Image>, layers: Vec<Layer>, verified: Verified) -> Survey {
    Survey {
        place: "oci:dist".to_owned(),
        title: "dist".to_owned(),
        parts: 0,
        depth: Depth::Digests,
        verified,
        keys: 0,
        bundle: None,
        images,
        layers,
        attachments: Vec::new(),
        bytes: Bytes::default(),
    }
}

fn many_layers(number: usize, state: State) -> Vec<Layer> {
    let layer = |at: usize| {
        let content = Content::of(at.to_string().as_bytes(), ContentKind::Blob);
        let state = if at.is_multiple_of(2) { state } else { State::Here };
        Layer { digest: content.digest, size: 1, media_type: OCI_LAYER.into(), state, users: vec![(0, 0)] }
    };
    (0..number).map(layer).collect()
}

#[test]
fn a_page_about_more_than_anybody_reads_still_opens() {
    let name = |at: usize| format!("{}:{at}", "\u{202e}".repeat(5000));
    let images: Vec<Image> = (0..30_000).map(|at| image(at, name(at), vec![0])).collect();
    let problem = |at: usize| Problem {
        subject: format!("problem {at}"),
        status: Status::Missing,
        about: "&".repeat(5000),
        referenced_by: Vec::new(),
        detail: "<".repeat(5000),
    };
    let problems: Vec<Problem> = (0..5000).map(problem).collect();
    let unreferenced = (0..5000u64).map(|at| (Digest::of(&at.to_le_bytes()), 1)).collect();
    let verified = Verified { problems, more_problems: 3, unreferenced, ..Verified::default() };
    let page = page(&survey_of(images, many_layers(1, State::Here), verified));
    for said in [
        "Of 30,000 images for one platform each the 40 largest are drawn.",
        "The first 50 of 30,000 images",
        "19,950 further images",
        "Not on this page: 10,000 further images.",
        "Not on this page: 4,000 further problems.",
        "Not on this page: 3 further problems.",
        "Not on this page: 4,500 further blobs.",
        "The layers of 29,900 further images are not on this page.",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert_eq!(page.matches("class=\"group\"").count(), 40);
    assert!(page.len() < 64 << 20, "{} bytes", page.len());
}

#[test]
fn an_image_of_any_number_of_layers_has_a_bar_of_few_pieces() {
    for state in [State::Here, State::Missing, State::Elsewhere, State::Wrong] {
        let page = page(&survey_of(
            vec![image(0, "a".to_owned(), (0..50_000).collect())],
            many_layers(50_000, state),
            Verified::default(),
        ));
        let bars = page.split_once("class=\"group\"").unwrap().1.split_once("<section").unwrap().0;
        assert!(bars.matches("<rect").count() < 10, "{state:?}");
        assert!(page.contains("Not on this page: 49,800 further layers."));
    }
}

#[test]
fn only_what_was_read_is_called_verified() {
    let here = || many_layers(1, State::Here);
    let cases = [
        (Depth::Digests, here(), Verified::default(), "Verified"),
        (Depth::DiffIds, here(), Verified::default(), "Verified"),
        (Depth::Presence, here(), Verified::default(), "Not verified"),
        (Depth::Digests, here(), Verified { left_out: (1, 5), ..Verified::default() }, "Verified in part"),
        (Depth::Digests, here(), Verified { cut: 1, ..Verified::default() }, "Verified in part"),
        (Depth::Digests, many_layers(1, State::Elsewhere), Verified::default(), "Verified in part"),
        (Depth::Digests, here(), Verified { more_problems: 2, ..Verified::default() }, "2 problems found"),
    ];
    for (depth, layers, verified, badge) in cases {
        let survey = Survey { depth, ..survey_of(vec![image(0, "a".to_owned(), vec![0])], layers, verified) };
        let page = page(&survey);
        let found = page.split_once("class=\"badge").unwrap().1.split_once('>').unwrap().1.split_once('<').unwrap().0;
        assert_eq!(found, badge);
    }
}
