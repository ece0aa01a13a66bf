//! Who may ask: challenges that nobody can meet, tokens that are none, and refusals without an end.

use super::objects;
use crate::ordeal::{Row, SECRET, Scene, Stage, row, tried};
use crate::registry::{Answer, Bearer, Rule};

/// What is said to everybody, whatever they show.
fn always(answer: Answer) -> impl Fn(&Scene) -> Vec<Rule> {
    move |_| vec![Rule::on("*", "/v2/*").before_auth().answer(answer.clone())]
}

fn challenge(text: &str) -> impl Fn(&Scene) -> Vec<Rule> + use<> {
    always(Answer::error(401, "UNAUTHORIZED", "who are you?").header("WWW-Authenticate", text))
}

#[test]
fn what_it_asks_for() {
    let many = "Negotiate abc==, ".repeat(500);
    let rows = vec![
        row("a password, again and again", "a storm of 401", &[5], "hint: ", challenge("Basic realm=\"x\"")),
        row("nothing, and lets nobody in", "401 without a challenge", &[5], "401", always(Answer::status(401))),
        row("what we do not know", "Kerberos", &[5], "401", challenge("Negotiate")),
        row("a token of nobody", "no realm", &[5], "401", challenge("Bearer service=\"x\"")),
        row(
            "a realm without an end",
            "the quotes are not closed",
            &[5],
            "",
            challenge("Bearer realm=\"http://127.0.0.1/x"),
        ),
        row("a realm of nothing but quotes", "a parser that looks ahead", &[5], "", {
            challenge(&format!("Bearer realm=\"{}", "\\\"".repeat(4000)))
        }),
        row("five hundred things", "a parser that remembers all", &[5], "401", challenge(&many)),
        row("a password behind five hundred things", "it is the only one we know", &[5], "", {
            challenge(&format!("{many}Basic realm=\"x\""))
        }),
        row("two things in one line", "the stronger one, of which there is none", &[5], "", {
            challenge("Basic realm=\"x\", Bearer realm=\"nowhere\"")
        }),
        row("a realm with an escape sequence", "it would be shown", &[5, 6], "", {
            challenge("Bearer realm=\"http://\u{1b}[31mred/token\"")
        }),
        row("a realm of a hundred thousand bytes", "no address is as long", &[5], "", {
            challenge(&format!("Bearer realm=\"http://127.0.0.1/{}\"", "x".repeat(100_000)))
        }),
        row("a proxy's password", "407, and there is no proxy", &[5], "407", always(Answer::status(407))),
        row("nothing, and refuses", "403 to everybody", &[5], "403", always(Answer::status(403))),
        row("what was shown is said aloud", "a password in a log", &[5], "403", |_| {
            let basic = "bWU6aHVudGVyMi1jb3JyZWN0LWhvcnNl"; // me:SECRET
            let told = format!("Basic {basic} is me:{SECRET}, and may not");
            vec![Rule::on("*", "/v2/*").answer(Answer::error(403, "DENIED", &told))]
        }),
    ];
    tried(Stage::Door, &rows);
}

#[test]
fn when_it_wants_to_be_asked_again() {
    let wait = |text: &'static str| {
        move |_: &Scene| {
            let answer = Answer::error(429, "TOOMANYREQUESTS", "slow down").header("Retry-After", text);
            vec![Rule::on("GET", "/v2/app/manifests/*").once().answer(answer)]
        }
    };
    let rows: Vec<Row> = vec![
        row("before now", "negative", &[0], "", wait("-5")),
        row("in 1970", "a clock that was reset", &[0], "", wait("Thu, 01 Jan 1970 00:00:00 GMT")),
        row("in 9999", "for a person to decide", &[6], "wait", wait("Fri, 31 Dec 9999 23:59:59 GMT")),
        row("in three hundred years", "for a person to decide", &[6], "wait", wait("9999999999")),
        row("after more seconds than there are numbers", "it wraps", &[0, 6], "", wait("99999999999999999999999")),
        row("soon", "no number and no date", &[0], "", wait("soon")),
        row("in half a second", "no whole number", &[0], "", wait("0.5")),
    ];
    tried(Stage::Manifest, &rows.into_iter().map(|row| row.again(1).only(&["manifest inspect"])).collect::<Vec<_>>());
}

#[test]
fn what_its_token_server_gives() {
    let token = |answer: Answer| move |_: &Scene| vec![Rule::on("*", "/token").answer(answer.clone())];
    let says = |body: &str| token(Answer::status(200).header("Content-Type", "application/json").body(body.to_owned()));
    let rows: Vec<Row> = vec![
        row("a page", "a portal that wants a login answers 200", &[5], "no token", says("<html></html>")),
        row("nothing", "an answer without a body", &[5], "no token", says("")),
        row("an empty token", "nobody's", &[5], "no token", says(r#"{"token":""}"#)),
        row("a token that is a list", "no text", &[5], "no token", says(r#"{"token":["x"]}"#)),
        row(
            "a token of two lines",
            "a header of the registry's own",
            &[5],
            "",
            says("{\"token\":\"a\\r\\nX-Evil: 1\"}"),
        ),
        row("a token of two megabytes", "it goes along with every request", &[5], "too large", {
            says(&format!(r#"{{"token":"{}"}}"#, "x".repeat(2 << 20)))
        }),
        row("a million bytes of objects", "small on the wire, large in memory", &[5], "", {
            says(&format!(r#"{{"a":{},"token":""}}"#, objects(140_000)))
        }),
        row("lists in lists", "a parser that recurses falls over", &[5], "no token", says(&"[".repeat(100_000))),
        row("an answer without an end", "memory is not for it to fill", &[5], "too large", |_| {
            vec![Rule::on("*", "/token").endless_body()]
        }),
        row("a token in gzip", "nobody asked for it", &[5], "", {
            token(Answer::status(200).header("Content-Encoding", "gzip").body(super::gzipped(br#"{"token":"x"}"#)))
        }),
        row("a token that is over before it begins", "expires_in is negative", &[5], "401", {
            says(r#"{"token":"token-of-nobody","expires_in":-5}"#)
        }),
        row("a token that lasts for ever", "expires_in is larger than any time", &[5], "401", {
            says(r#"{"token":"token-of-nobody","expires_in":1e300}"#)
        }),
        row("another address", "the password would go there", &[5], "", {
            token(Answer::status(307).header("Location", "http://127.0.0.1:1/token"))
        }),
        row("401", "it does not know us", &[5], "hint: ", token(Answer::status(401))),
        row("500", "a failure in passing that does not pass", &[6], "500", token(Answer::status(500))),
        row("no answer", "the connection is reset", &[6], "", |_| vec![Rule::on("*", "/token").lose_answer()]),
        row("what was shown is said aloud", "a password in a log", &[5], "403", {
            token(Answer::status(403).body(format!("bad user me, password {SECRET}")))
        }),
    ];
    let mut rows: Vec<Row> = rows.into_iter().map(|row| row.with_tokens(Bearer::default())).collect();
    let worn = Bearer { uses: Some(0), ..Bearer::default() };
    rows.push(
        row("tokens that it does not take", "a storm of 401", &[5], "401", |_| Vec::new()).with_tokens(worn).lasting(),
    );
    tried(Stage::Door, &rows);
}
