//! barge and the other programs, side by side: every job is done by each of them in turns, A B C, C B A, from a warm page cache,
//! and what counts is the ratio of medians of one run. `make bench` runs it; docs/benchmarks.md says what came out.
//!
//! | file | what it has |
//! |---|---|
//! | `contests.rs` | the jobs, the command of each program, and how fast barge is to be |
//! | `data.sh`, `many.rs` | what they work on: Debian root file systems, and a layout of many small images |
//! | `measure.rs`, `memory.rs` | one run of one command: seconds, processor, memory; what was free is at hand |
//! | `server.rs` | an empty registry for each run that wants one |
//! | `report.rs`, `chart.rs` | tables and a picture |

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

mod chart;
mod contests;
mod many;
mod measure;
mod memory;
mod report;
mod server;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use contests::Contest;
use measure::{Bench, Sample};

const USAGE: &str = "usage: peers [--data DIR] [--rounds N] [--write DIR] [--hold] [--list] [CONTEST...]
  --data DIR   where the data is kept (default: target/bench-data; made when it is not there)
  --rounds N   how often each program does each job (default: 5)
  --write DIR  write benchmarks.md and benchmarks.svg there (docs, for a run of all)
  --hold       hold all memory but what a job needs, for virtual machines that give free memory back
  --list       name the jobs, and end";

/// What came out of one job: for each program that was there, its runs.
#[derive(Debug)]
struct Outcome {
    contest: Contest,
    samples: BTreeMap<&'static str, Vec<Sample>>,
    absent: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (mut data, mut rounds, mut write, mut hold) = (root.join("target/bench-data"), 5, None, false);
    let mut wanted = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(USAGE);
        match argument.as_str() {
            "--bench" => {} // cargo says so
            "--data" => data = PathBuf::from(value()?),
            "--rounds" => rounds = value()?.parse().map_err(|_| USAGE)?,
            "--write" => write = Some(PathBuf::from(value()?)),
            "--hold" => hold = true,
            "--list" => {
                for contest in contests::all() {
                    println!("{:<16} {}", contest.name, contest.title);
                }
                return Ok(ExitCode::SUCCESS);
            }
            name if !name.starts_with('-') => wanted.push(name.to_owned()),
            _ => return Err(USAGE.to_owned()),
        }
    }
    let chosen: Vec<Contest> = contests::all()
        .into_iter()
        .filter(|it| wanted.is_empty() || wanted.iter().any(|name| name == it.name))
        .collect();
    if chosen.is_empty() || rounds == 0 {
        return Err(USAGE.to_owned());
    }
    let barge = root.join("target/release/barge");
    make_data(&root, &data, &barge)?;
    let data = data.canonicalize().map_err(|error| format!("cannot find {}: {error}", data.display()))?;
    let bench = Bench::new(&barge, &data, hold)?;
    let outcomes = chosen.into_iter().map(|it| compete(it, rounds, &bench)).collect::<Result<Vec<_>, _>>()?;
    let text = report::markdown(&outcomes, &report::Setting::read(&data, rounds)?);
    println!("{text}");
    if let Some(directory) = write {
        for (name, content) in [("benchmarks.md", text), ("benchmarks.svg", chart::svg(&outcomes))] {
            let path = directory.join(name);
            fs::write(&path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    let missed: Vec<String> = outcomes.iter().flat_map(report::missed).collect();
    for line in &missed {
        eprintln!("missed: {line}");
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn make_data(root: &std::path::Path, data: &std::path::Path, barge: &std::path::Path) -> Result<(), String> {
    eprintln!("data in {} (making it takes some minutes, once)", data.display());
    let made = Command::new(root.join("benches/peers/data.sh")).arg(data).arg(barge).status();
    if !made.is_ok_and(|status| status.success()) {
        return Err("the data could not be made".to_owned());
    }
    many::make(&data.join("many")).map_err(|error| format!("cannot make a layout of many images: {error}"))
}

/// Lets every program that is there do a job, in turns.
fn compete(contest: Contest, rounds: usize, bench: &Bench) -> Result<Outcome, String> {
    let (there, absent): (Vec<_>, Vec<_>) =
        contest.contenders.iter().partition(|it| it.programs.iter().all(|program| bench.has(program)));
    let absent = absent.iter().map(|it| it.name.to_owned()).collect();
    let mut samples: BTreeMap<&'static str, Vec<Sample>> = BTreeMap::new();
    for round in 0..rounds {
        let order: Vec<_> = if round % 2 == 0 { there.clone() } else { there.iter().rev().copied().collect() };
        for contender in order {
            let sample = bench.measure(&contest, contender)?;
            eprintln!("{:<16} {:<16} {:>8.3} s", contest.name, contender.name, sample.seconds);
            samples.entry(contender.name).or_default().push(sample);
        }
    }
    Ok(Outcome { contest, samples, absent })
}
