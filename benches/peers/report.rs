//! What came out, as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::measure::Sample;

const INTRO: &str = "# Benchmarks

What `make bench` printed. Every program does every job in turns, forwards and backwards, with a warm page cache, each time into an
empty directory or an empty registry on loopback, and after a `sync`; the numbers are medians. Only ratios within one table mean
something: another machine has other seconds. oras, regctl and crane do not wait until the disk has what they wrote; skopeo, umoci and
barge do, and barge is also there with `--no-sync`. `sha256` hashes every blob with `openssl dgst`, on all processors, and writes nothing;
`cp`, `tar` and `true` check nothing. Memory is that of the largest process.

A processor without SHA instructions (the first line below says whether this is one) hashes a quarter of a gigabyte a second and core, with
them it is four times as much. Without, hashing is all that there is to see: what looks at every byte takes as long as `sha256`, whoever does
it, and who sends or packs bytes without looking at them (oras and crane when they push, `tar`) is ahead. barge has no way that does not
look. The bars below each table were set on a processor that has them.

![barge beside the fastest other program](benchmarks.svg)
";

/// What it ran on.
#[derive(Debug)]
pub(crate) struct Setting {
    lines: Vec<String>,
}

impl Setting {
    /// Looks at the machine and asks every program for its version.
    pub(crate) fn read(data: &Path, rounds: usize) -> Result<Self, String> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let field =
            |name: &str| cpu.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(": ").nth(1));
        let memory = read("/proc/meminfo").split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        let sha = if cpu.contains(" sha_ni") { "with" } else { "without" };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut lines = vec![format!(
            "- Machine: {} ({sha} SHA instructions), {cores} processors, {} GiB; Linux {}",
            field("model name").unwrap_or("unknown"),
            memory.unwrap_or_default() / (1024 * 1024),
            read("/proc/sys/kernel/osrelease").trim(),
        )];
        let source = fs::read_to_string(data.join("source"))
            .map_err(|error| format!("the data says nothing of itself: {error}"))?;
        lines.push(format!("- Data: root file systems, {}; each {rounds} times", source.trim()));
        for (program, argument) in [
            ("target/release/barge", "--version"),
            ("skopeo", "--version"),
            ("umoci", "--version"),
            ("buildah", "--version"),
            ("oras", "version"),
            ("crane", "version"),
            ("regctl", "version"),
            ("docker-registry", "--version"),
            ("pigz", "--version"),
            ("openssl", "version"),
        ] {
            if let Some(version) = version_of(program, argument) {
                lines.push(format!("- {}: {version}", program.rsplit('/').next().unwrap_or(program)));
            }
        }
        Ok(Self { lines })
    }
}

fn version_of(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text =
        String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout }).into_owned();
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns the middle one of some numbers.
pub(crate) fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the median seconds of a contender, if it was there.
pub(crate) fn seconds(outcome: &Outcome, name: &str) -> Option<f64> {
    outcome.samples.get(name).map(|samples| median(samples, |sample| sample.seconds))
}

/// Returns the whole page.
pub(crate) fn markdown(outcomes: &[Outcome], setting: &Setting) -> String {
    let mut text = format!("{INTRO}\n{}\n", setting.lines.join("\n"));
    for outcome in outcomes {
        let _ = table(&mut text, outcome);
    }
    text.push_str(
        "\n## The commands\n\n`$DATA` is what `benches/peers/data.sh` made; each runs in an empty directory.\n",
    );
    for outcome in outcomes {
        let _ = write!(text, "\n{}:\n\n", outcome.contest.title);
        for contender in outcome.contest.contenders.iter().filter(|it| outcome.samples.contains_key(it.name)) {
            let command = contender.command.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "    {command}");
        }
    }
    text
}

fn table(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let title = outcome.contest.title;
    writeln!(text, "\n## {}{}\n", title[..1].to_uppercase(), &title[1..])?;
    writeln!(
        text,
        "| program | seconds | from .. to | times barge | processor s | memory MiB |\n|---|---:|---:|---:|---:|---:|"
    )?;
    let ours = seconds(outcome, "barge").unwrap_or(f64::NAN);
    for contender in &outcome.contest.contenders {
        let Some(samples) = outcome.samples.get(contender.name) else { continue };
        let all =
            |pick: fn(f64, f64) -> f64| samples.iter().map(|sample| sample.seconds).reduce(pick).unwrap_or(f64::NAN);
        let middle = median(samples, |sample| sample.seconds);
        writeln!(
            text,
            "| {} | {middle:.3} | {:.3} .. {:.3} | {:.2} | {:.2} | {:.1} |",
            contender.name,
            all(f64::min),
            all(f64::max),
            middle / ours,
            median(samples, |sample| sample.processor),
            median(samples, |sample| sample.peak as f64) / 1024.0,
        )?;
    }
    for bar in &outcome.contest.bars {
        if let Some(quotient) = quotient(outcome, bar) {
            let verdict = if quotient <= bar.at_most { "met" } else { "**missed**" };
            writeln!(text, "\n{} / {}: {quotient:.2}, at most {:.2}: {verdict}.", bar.ours, bar.theirs, bar.at_most)?;
        }
    }
    if !outcome.absent.is_empty() {
        writeln!(text, "\nNot there: {}.", outcome.absent.join(", "))?;
    }
    Ok(())
}

fn quotient(outcome: &Outcome, bar: &crate::contests::Bar) -> Option<f64> {
    Some(seconds(outcome, bar.ours)? / seconds(outcome, bar.theirs)?)
}

/// Names the bars that barge missed.
pub(crate) fn missed(outcome: &Outcome) -> Vec<String> {
    let of = |bar: &crate::contests::Bar| {
        let quotient = quotient(outcome, bar).filter(|quotient| *quotient > bar.at_most)?;
        let (name, at_most) = (outcome.contest.name, bar.at_most);
        Some(format!("{name}: {} / {} is {quotient:.2}, at most {at_most:.2}", bar.ours, bar.theirs))
    };
    outcome.contest.bars.iter().filter_map(of).collect()
}

/// Returns the fastest program besides barge that does the same job, with its seconds.
pub(crate) fn fastest_other(outcome: &Outcome) -> Option<(&'static str, f64)> {
    const NOT_THE_SAME: [&str; 5] = ["sha256", "cp", "tar", "true", "pigz"];
    let others: BTreeMap<_, _> = outcome
        .samples
        .iter()
        .filter(|(name, _)| !name.starts_with("barge") && !NOT_THE_SAME.contains(name))
        .map(|(name, samples)| (*name, median(samples, |sample| sample.seconds)))
        .collect();
    others.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))
}
