//! The picture: for each job, how long barge and the fastest other program took, as bars of one scale for each job.

use std::fmt::Write as _;

use crate::Outcome;
use crate::report::{fastest_other, seconds};

const LEFT: usize = 290;
const WIDTH: usize = 380;
const ROW: usize = 46;

/// Returns an SVG.
pub(crate) fn svg(outcomes: &[Outcome]) -> String {
    let rows: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| {
            let (name, theirs) = fastest_other(outcome)?;
            // like beside like: those that do not sync beside barge that does not either
            let ours =
                if ["skopeo", "umoci", "buildah"].contains(&name) { None } else { seconds(outcome, "barge, no sync") };
            Some((outcome.contest.title, ours.or_else(|| seconds(outcome, "barge"))?, name, theirs))
        })
        .collect();
    let height = rows.len() * ROW + 20;
    let total = LEFT + WIDTH + 110;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{height}\" viewBox=\"0 0 {total} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (at, (title, ours, name, theirs)) in rows.iter().enumerate() {
        let top = at * ROW + 12;
        let longest = ours.max(*theirs);
        for (line, (label, value, fill)) in
            [("barge", *ours, "#1f6f8b"), (*name, *theirs, "#b9c0c6")].into_iter().enumerate()
        {
            let y = top + line * 17;
            let length = (value / longest * WIDTH as f64).max(1.0);
            let _ = writeln!(
                text,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"14\" fill=\"{fill}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" fill=\"#222222\">{label} {value:.2} s</text>",
                LEFT as f64 + length + 6.0,
                y + 11,
            );
        }
        for (line, words) in wrapped(title).iter().enumerate() {
            let y = top + 11 + line * 15;
            let _ = writeln!(
                text,
                "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" fill=\"#222222\">{words}</text>",
                LEFT - 10
            );
        }
    }
    text.push_str("</svg>\n");
    text
}

/// Breaks a title into lines that fit beside the bars.
fn wrapped(title: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in title.split(' ') {
        let last = lines.last().map_or(0, String::len);
        if last > 0 && last + word.len() > 42 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
