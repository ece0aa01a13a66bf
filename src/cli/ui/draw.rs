//! What progress looks like: as wide as the terminal and never wider, as a line of a log, as JSON.

use barge::store::Location;
use barge::text::{human_size, human_time};
use serde_json::{Value, json};

use super::super::terminal::{cut, width};
use super::board::{Count, Seen, Snapshot};
use super::per_second;

/// Pieces below this size are over before a person sees them.
const SEEN: u64 = 8 * 1024 * 1024;
/// How many pieces have a line, at most.
const MOST_LINES: usize = 8;
/// What stays free on the right: the terminal shows `^C` there, and must not begin a line of its own for it, which nobody
/// would take away.
const ECHO: usize = 3;
/// What a bar must have to be one.
const SHORTEST_BAR: usize = 10;
const LONGEST_BAR: usize = 60;
/// What stands right of the bar takes so much at most, as a rule: the bar keeps its length when the numbers get shorter or longer.
const FACTS: usize = "1023.9 MiB of 1023.9 MiB, 1023.9 MiB/s, 59m59s left".len();
/// What a piece must have to be told from others: its digest, and the beginning of what it is.
const SHORTEST_NAME: usize = 30;

/// Returns what stands on a terminal of that size: the whole, and below it the large pieces under way.
pub(super) fn screen(command: &str, seen: &Snapshot, columns: usize, rows: usize) -> String {
    let columns = columns.saturating_sub(ECHO);
    let mut text = total_line(command, &seen.all, columns);
    let several = seen.pieces.iter().any(|piece| piece.place != seen.pieces[0].place);
    for piece in large(seen).take(MOST_LINES.min(rows.saturating_sub(2))) {
        let place = several.then_some(&piece.place);
        text.push('\n');
        text.push_str(&piece_line(piece, place, columns));
    }
    text
}

fn large(seen: &Snapshot) -> impl Iterator<Item = &Seen> {
    seen.pieces.iter().filter(|piece| piece.count.total >= SEEN)
}

fn total_line(command: &str, count: &Count, columns: usize) -> String {
    let (amount, rate, left) = (amount(count), rate(count), left(count));
    let percent = format!("{}%", percent(count));
    let join = |parts: &[&Option<String>]| {
        let parts: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).collect();
        parts.join(", ")
    };
    let (amount, percent) = (Some(amount), Some(percent));
    let room = columns.saturating_sub(command.len() + " [] ".len() + SHORTEST_BAR);
    let there = there(count);
    let ways = [
        join(&[&amount, &rate, &left, &there]),
        join(&[&amount, &rate, &left]),
        join(&[&amount, &left]),
        join(&[&percent, &left]),
        join(&[&percent]),
    ];
    let Some(facts) = ways.iter().find(|facts| facts.len() <= room) else {
        return cut(&format!("{command} {}", join(&[&percent])), columns).to_owned();
    };
    let facts_room = if FACTS <= room { FACTS.max(facts.len()) } else { facts.len() };
    let length = (SHORTEST_BAR + room - facts_room).min(LONGEST_BAR);
    format!("{command} [{}] {facts}", bar(count, length))
}

fn piece_line(piece: &Seen, place: Option<&Location>, columns: usize) -> String {
    let Seen { digest, about, count, .. } = piece;
    let is_there = count.skipped > 0 && count.skipped == count.done;
    let rate = if is_there { there(count) } else { rate(count) };
    let ways = [
        rate.as_ref().map_or_else(|| amount(count), |rate| format!("{}, {rate}", amount(count))),
        rate.map_or_else(|| human_size(count.done), |rate| format!("{}, {rate}", human_size(count.done))),
        format!("{}%", percent(count)),
    ];
    let mut what = digest.map_or_else(|| "  making".to_owned(), |digest| format!("  {}", &digest.hex()[..12]));
    if !about.is_empty() {
        // the size stands on the right
        what = format!("{what} {}", about.rsplit_once(", ").map_or(about.as_str(), |(about, _)| about));
    }
    if let Some(place) = place {
        what = format!("{what} to {place}");
    }
    let room = |facts: &str| columns.saturating_sub(facts.len() + 1);
    let fits = |facts: &&String| room(facts) >= SHORTEST_NAME;
    let Some(facts) = ways.iter().find(fits) else { return cut(&what, columns).to_owned() };
    let room = room(facts);
    let what = cut(&what, room);
    let padding = room - width(what);
    format!("{what}{} {facts}", " ".repeat(padding))
}

/// Returns a line for a log.
pub(super) fn plain(command: &str, seen: &Snapshot) -> String {
    let parts = [Some(amount(&seen.all)), rate(&seen.all), left(&seen.all), there(&seen.all)];
    format!("{command}: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// Returns the last line for a log, when all is done: the rate is that of the whole time.
pub(super) fn plain_end(command: &str, seen: &Snapshot) -> String {
    let Count { done, skipped, .. } = seen.all;
    let moved = done.saturating_sub(skipped);
    let rate = per_second(moved, seen.took).filter(|_| moved > 0).map(|rate| format!("{}/s", human_size(rate)));
    let done = format!("{} in {}", amount(&seen.all), human_time(seen.took));
    format!("{command}: {}", [Some(done), rate, there(&seen.all)].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// Returns the lines for a program: the whole, and the large pieces under way.
pub(super) fn progress_json(seen: &Snapshot) -> Vec<Value> {
    let event = |count: &Count| json!({"event": "progress", "bytes": count.done, "total": count.total, "skipped": count.skipped, "rate": count.rate});
    let mut all = event(&seen.all);
    all["secondsLeft"] = json!(seen.all.left().map(|left| left.as_secs()));
    let mut lines = vec![all];
    for piece in large(seen) {
        let mut line = event(&piece.count);
        line["digest"] = json!(piece.digest.map(|digest| digest.to_string()));
        line["about"] = json!(piece.about);
        line["place"] = json!(piece.place.to_string());
        lines.push(line);
    }
    lines
}

fn amount(count: &Count) -> String {
    format!("{} of {}", human_size(count.done), human_size(count.total))
}

fn rate(count: &Count) -> Option<String> {
    count.rate.map(|rate| format!("{}/s", human_size(rate)))
}

fn there(count: &Count) -> Option<String> {
    match count.skipped {
        0 => None,
        all if all == count.done && count.done < count.total => Some("being checked".to_owned()),
        all if all == count.done => Some("all there already".to_owned()),
        some => Some(format!("{} there already", human_size(some))),
    }
}

fn left(count: &Count) -> Option<String> {
    count.left().filter(|_| count.done < count.total).map(|left| format!("{} left", human_time(left)))
}

fn percent(count: &Count) -> u128 {
    (u128::from(count.done) * 100).checked_div(u128::from(count.total)).unwrap_or(100)
}

fn bar(count: &Count, length: usize) -> String {
    let full = (u128::from(count.done) * length as u128).checked_div(u128::from(count.total));
    let full = full.map_or(length, |full| usize::try_from(full).unwrap_or(length)).min(length);
    let head = if full < length { ">" } else { "" };
    format!("{}{head}{}", "=".repeat(full), " ".repeat(length - full - head.len()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use barge::digest::Digest;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn seen() -> Snapshot {
        let count = |done, total, rate| Count {
            done: done * MIB,
            total: total * MIB,
            skipped: 0,
            rate: Some(rate * MIB),
            settled: true,
        };
        let piece = |name: &str, about: &str, count| Seen {
            digest: Some(Digest::of(name.as_bytes())),
            about: about.to_owned(),
            place: Location::Stdio,
            count,
        };
        let small = Count { done: 0, total: 2048, skipped: 0, rate: None, settled: false };
        let mut pieces = vec![
            piece("a", "layer 3 of linux/arm64, 40.0 MiB", count(10, 40, 3)),
            piece("b", "config of linux/arm64, 2.0 KiB", small),
            piece("c", &"漢".repeat(60), count(0, 400, 0)),
            piece("d", "", Count { total: 8 * MIB, ..small }),
        ];
        pieces.extend((0..20).map(|at: u8| piece(&at.to_string(), "layer", count(1, 9, 1))));
        Snapshot { all: count(10, 500, 5), pieces, took: Duration::from_secs(2) }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_more_lines_than_fit() {
        let seen = seen();
        for columns in 4..200 {
            for rows in [0, 1, 2, 3, 5, 24] {
                let screen = screen("push", &seen, columns, rows);
                assert!(screen.lines().all(|line| width(line) <= columns.saturating_sub(2)), "{columns}: {screen}");
                assert!(screen.lines().count() <= (1 + MOST_LINES).min(rows.saturating_sub(1).max(1)), "{screen}");
            }
        }
    }

    #[test]
    fn what_matters_most_stands_there_when_it_is_narrow() {
        let seen = seen();
        let lines = |columns| screen("push", &seen, columns, 24).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            lines(83)[..2],
            [
                "push [>                    ] 10.0 MiB of 500.0 MiB, 5.0 MiB/s, 1m38s left",
                "  ca978112ca1b layer 3 of linux/arm64            10.0 MiB of 40.0 MiB, 3.0 MiB/s"
            ]
        );
        assert_eq!(
            lines(43)[..2],
            ["push [>                 ] 2%, 1m38s left", "  ca978112ca1b layer 3 of linux/arm6 25%"]
        );
        assert_eq!(lines(15)[0], "push 2%");
        let mut two = seen.clone();
        two.pieces[0].place = Location::Registry("quay.io".to_owned());
        let lines_of_two = screen("push", &two, 103, 24);
        assert!(lines_of_two.contains("layer 3 of linux/arm64 to docker://quay.io  "), "{lines_of_two}");
        assert!(!lines(80).iter().any(|line| line.contains("config")), "a small piece has a line");
    }

    #[test]
    fn a_log_and_a_program_are_told_the_same() {
        let seen = seen();
        assert_eq!(plain("push", &seen), "push: 10.0 MiB of 500.0 MiB, 5.0 MiB/s, 1m38s left");
        let lines = progress_json(&seen);
        assert_eq!(
            lines[0],
            json!({"event": "progress", "bytes": 10 * MIB, "total": 500 * MIB, "skipped": 0, "rate": 5 * MIB, "secondsLeft": 98})
        );
        assert_eq!(
            lines[1],
            json!({"event": "progress", "bytes": 10 * MIB, "total": 40 * MIB, "skipped": 0, "rate": 3 * MIB,
                "digest": Digest::of(b"a").to_string(), "about": "layer 3 of linux/arm64, 40.0 MiB", "place": "-"})
        );
        let nothing = Count { done: 0, total: 0, skipped: 0, rate: None, settled: false };
        let empty = Snapshot { all: nothing, pieces: Vec::new(), took: Duration::ZERO };
        assert_eq!(plain("push", &empty), "push: 0 B of 0 B");
        assert!(screen("push", &empty, 80, 24).contains("=] 0 B of 0 B"));
    }

    #[test]
    fn what_was_there_is_said_where_there_is_room() {
        let mut seen = seen();
        seen.all = Count { done: 500 * MIB, skipped: 300 * MIB, ..seen.all };
        seen.pieces[0].count = Count { skipped: 10 * MIB, rate: None, ..seen.pieces[0].count };
        assert_eq!(
            plain_end("push", &seen),
            "push: 500.0 MiB of 500.0 MiB in 2s, 100.0 MiB/s, 300.0 MiB there already"
        );
        let wide = screen("push", &seen, 120, 24);
        assert!(wide.contains("500.0 MiB of 500.0 MiB, 5.0 MiB/s, 300.0 MiB there already\n"), "{wide}");
        assert!(wide.contains("10.0 MiB of 40.0 MiB, being checked\n"), "{wide}");
        assert!(!screen("push", &seen, 60, 24).contains("there already"));
        seen.all = Count { done: 10 * MIB, skipped: 10 * MIB, rate: None, ..seen.all };
        assert_eq!(plain("push", &seen), "push: 10.0 MiB of 500.0 MiB, being checked");
        seen.all = Count { done: 500 * MIB, skipped: 500 * MIB, ..seen.all };
        assert_eq!(plain_end("push", &seen), "push: 500.0 MiB of 500.0 MiB in 2s, all there already");
    }
}
