//! Where a registry sends us: to somebody else without what proves who we are, and to some not at all. Every connection that
//! a run opens is looked at.

use crate::ordeal::{Row, Scene, Stage, row, watched};
use crate::registry::{Answer, Bearer, Rule};

const MANIFESTS: &str = "/v2/app/manifests/v1";

fn redirected(to: &'static str) -> impl Fn(&Scene) -> Vec<Rule> {
    move |_| vec![Rule::on("GET", MANIFESTS).redirect(307, to)]
}

#[test]
fn redirects() {
    let elsewhere =
        |scene: &Scene| Rule::on("GET", MANIFESTS).redirect(307, scene.other.url() + "/v2/app/manifests/v1");
    let rows: Vec<Row> = vec![
        row("to another registry", "content networks are such", &[0], "", move |scene| vec![elsewhere(scene)]),
        row("to another registry, by its name alone", "with the scheme of the first", &[0], "", |scene| {
            let to = format!("//{}/v2/app/manifests/v1", scene.other.host());
            vec![Rule::on("GET", MANIFESTS).redirect(307, to)]
        }),
        row("to one that asks for the password", "it is not for that one", &[5], "401", move |scene| {
            let ask = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
            scene.other.script([Rule::on("*", "*").answer(ask)]);
            vec![elsewhere(scene)]
        }),
        row(
            "to one that asks for a token of its own",
            "its token server is shown nothing",
            &[5],
            "401",
            move |scene| {
                let realm = format!("Bearer realm=\"{}/token\"", scene.other.url());
                scene.other.script([Rule::on("*", "*").answer(Answer::status(401).header("WWW-Authenticate", realm))]);
                vec![elsewhere(scene)]
            },
        ),
        row("there and back", "for ever", &[1], "circles", |scene| {
            let back = |from: &str| Rule::on("GET", MANIFESTS).redirect(302, format!("{from}/v2/app/manifests/v1"));
            scene.other.script([back(&scene.registry.url())]);
            vec![back(&scene.other.url())]
        }),
        row("to itself", "for ever", &[1], "circles", redirected("/v2/app/manifests/v1")),
        row("nowhere", "no Location", &[1], "no address", |_| {
            vec![Rule::on("GET", MANIFESTS).answer(Answer::status(307))]
        }),
        row("to a file", "it would be read", &[1], "no address", redirected("file:///etc/passwd")),
        row("to FTP", "it would be asked", &[1], "no address", redirected("ftp://127.0.0.1/x")),
        row("to gopher", "any bytes to any port", &[1], "no address", redirected("gopher://127.0.0.1:25/_HELO")),
        row("to a user", "somebody's password", &[1], "no address", redirected("http://me:x@127.0.0.1:1/")),
        row("to a port that is none", "it wraps", &[1], "no address", redirected("http://127.0.0.1:99999/")),
    ];
    watched(Stage::Manifest, &rows);
}

/// Where a machine in a cloud learns its keys, and other addresses that are for the machine alone, in several spellings.
const INSIDE: [&str; 8] = [
    "http://169.254.169.254/latest/meta-data/iam/",
    "http://169.254.169.254:80/computeMetadata/v1/",
    "http://[::ffff:169.254.169.254]/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://[fd00:ec2::254]/latest/",
    "http://100.100.100.200/latest/",
    "http://[fe80::1]/",
];

#[test]
fn redirects_inside() {
    let rows = INSIDE
        .map(|to| row("to an address for the machine alone", "where its keys are", &[6], "inside", redirected(to)));
    watched(Stage::Manifest, &rows);
}

#[test]
fn layers() {
    let rows: Vec<Row> = INSIDE[..3]
        .iter()
        .map(|to| {
            row("to an address for the machine alone", "where its keys are", &[6], "inside", move |scene: &Scene| {
                vec![Rule::on("GET", &format!("/v2/app/blobs/{}", scene.layer)).redirect(302, to)]
            })
        })
        .collect();
    watched(Stage::Content, &rows);
}

#[test]
fn uploads() {
    let mut rows: Vec<Row> = vec![
        row("to another registry", "content networks are such", &[0], "", |scene| {
            let to = scene.other.url();
            let sessions = (1..9).map(|at| format!("/v2/new/blobs/uploads/00000000-0000-4000-8000-{at:012}?_state=0"));
            let taken = |path: String| Rule::on("P*T*", &format!("{path}*")).redirect(307, format!("{to}{path}"));
            sessions.map(taken).collect()
        })
        .only(&["copy dist"]),
        row("to FTP", "it would be sent", &[1], "", begun("ftp://127.0.0.1/x")),
        row("to a file", "it would be written", &[1], "", begun("file:///tmp/x")),
        row("with TLS, where there is none", "another scheme is another place", &[6], "", |scene| {
            let to = format!("https://{}/v2/new/blobs/uploads/x", scene.other.host());
            vec![Rule::on("POST", "/v2/new/blobs/uploads/*").answer(Answer::status(202).header("Location", to))]
        }),
    ];
    rows.extend(INSIDE.map(|to| {
        row("to an address for the machine alone", "it would change something there", &[6], "inside", begun(to))
    }));
    watched(Stage::Upload, &rows);
}

fn begun(to: &'static str) -> impl Fn(&Scene) -> Vec<Rule> {
    move |_| vec![Rule::on("POST", "/v2/new/blobs/uploads/*").answer(Answer::status(202).header("Location", to))]
}

#[test]
fn token_servers() {
    let realms = [
        ("http://auth.example.com/token", "the password would go there in the open"),
        ("http://10.1.2.3/token", "an address inside of a network"),
        ("https://169.254.169.254/latest", "where a machine's keys are"),
        ("https://2852039166/latest", "the same, spelled otherwise"),
        ("https://0xa9.0xfe.0xa9.0xfe/latest", "the same, spelled otherwise"),
        ("https://[::ffff:169.254.169.254]/latest", "the same, spelled otherwise"),
        ("file:///etc/passwd", "no server at all"),
        ("ftp://127.0.0.1/token", "no server for tokens"),
        ("https://me:password@127.0.0.1/token", "somebody's password"),
        ("/token", "no whole address"),
        ("", "no address"),
    ];
    let rows = realms.map(|(realm, why)| {
        let bearer = Bearer { realm: Some(realm.to_owned()), ..Bearer::default() };
        row("a token server", why, &[5], "", |_| Vec::new()).with_tokens(bearer).lasting()
    });
    watched(Stage::Door, &rows);
}

#[test]
fn next_pages() {
    let rows = |path: &'static str, field: &'static str| {
        let linked = move |link: String| {
            let body = format!(r#"{{"{field}":["a"]}}"#);
            Rule::on("GET", path).answer(Answer::status(200).body(body).header("Link", format!("<{link}>; rel=next")))
        };
        let mut rows = vec![row("on another registry", "a part of a list is not the list", &[4], "goes on", {
            move |scene: &Scene| vec![linked(format!("{}{path}?n=1", scene.other.url()))]
        })];
        for to in ["http://169.254.169.254/x", "file:///etc/passwd", "//example.com/x"] {
            rows.push(row("somewhere else", "a part of a list is not the list", &[4], "goes on", move |_| {
                vec![linked(to.to_owned())]
            }));
        }
        rows
    };
    watched(Stage::Tags, &rows("/v2/app/tags/list", "tags"));
    watched(Stage::Catalog, &rows("/v2/_catalog", "repositories"));
}
