//! HEALTHCHECK: its flags are times as Go writes them.

use super::fault::Fault;
use super::instruction::Healthcheck;
use super::parse;
use super::words;
use crate::text::quoted;

const FLAGS: [&str; 5] = ["--interval", "--timeout", "--start-period", "--start-interval", "--retries"];

/// HEALTHCHECK: `[FLAG...] CMD COMMAND`, or `NONE`.
pub(super) fn healthcheck(text: &str, escape: char) -> Result<Healthcheck, Fault> {
    let (given, rest) = words::flags(text, escape);
    let mut check = Healthcheck::default();
    for flag in &given {
        let value = flag.value.as_deref().unwrap_or_default();
        let name = format!("--{}", flag.name);
        let time = || nanoseconds(value).map_err(|expected| wrong(&name, value, expected));
        match flag.name.as_str() {
            "interval" => check.interval = time()?,
            "timeout" => check.timeout = time()?,
            "start-period" => check.start_period = time()?,
            "start-interval" => check.start_interval = time()?,
            "retries" => {
                let count = value.parse().ok().filter(|count| *count <= i32::MAX.unsigned_abs());
                check.retries = Some(count.ok_or_else(|| wrong(&name, value, "a whole number"))?);
            }
            _ => {
                let message = format!("HEALTHCHECK has no flag {}, expected {}", quoted(&name), FLAGS.join(" "));
                return Err(Fault::new(message).nearest(&name, FLAGS));
            }
        }
    }
    let (kind, command) = words::keyword(rest);
    match (kind.to_ascii_uppercase().as_str(), command) {
        ("NONE", "") if given.is_empty() => Ok(check),
        ("NONE", _) => Err(Fault::new("HEALTHCHECK NONE takes nothing else")),
        ("CMD", "") => Err(Fault::new("nothing follows HEALTHCHECK CMD, expected a command")),
        ("CMD", command) => {
            check.command = Some(parse::command(command, &mut |_| ())?);
            Ok(check)
        }
        _ => Err(Fault::new(format!("{} follows HEALTHCHECK, expected CMD COMMAND or NONE", quoted(kind)))
            .nearest(kind, ["CMD", "NONE"])),
    }
}

fn wrong(flag: &str, value: &str, expected: &str) -> Fault {
    Fault::new(format!("{flag} is {}, expected {expected}", quoted(value)))
}

/// Reads a time as Go's `time.ParseDuration` does (`1m30s`, `1.5h`, `500ms`), in nanoseconds; 0 is the same as none.
fn nanoseconds(text: &str) -> Result<Option<u64>, &'static str> {
    const EXPECTED: &str = "a time such as 30s, 1m30s or 500ms";
    const UNITS: [(&str, u64); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    if matches!(text, "0" | "+0") {
        return Ok(None);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(EXPECTED);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|it: char| !it.is_ascii_digit() && it != '.').ok_or(EXPECTED)?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|it: char| it.is_ascii_digit() || it == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(EXPECTED)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(EXPECTED);
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| EXPECTED)? };
        let mut value = whole.checked_mul(scale).ok_or(EXPECTED)?;
        let mut place = scale;
        for digit in fraction.bytes() {
            place /= 10;
            value = value.checked_add(u64::from(digit - b'0') * place).ok_or(EXPECTED)?;
        }
        total = total.checked_add(value).filter(|total| i64::try_from(*total).is_ok()).ok_or(EXPECTED)?;
        rest = after;
    }
    match total {
        0 => Ok(None),
        1..1_000_000 => Err("at least 1ms"),
        _ => Ok(Some(total)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction::Command;
    use super::*;

    #[test]
    fn times_are_those_of_go() {
        for (text, expected) in [
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("1ms", Some(1_000_000)),
            ("0", None),
            ("0s", None),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text}");
        }
        for text in ["", "1", "s", "1x", "-1s", "1us", ".s", "1..s", "99999999h", "99999999999999999999s", "1s "] {
            assert!(nanoseconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_check_has_a_command_or_is_none() {
        let check = healthcheck("--interval=1m --retries=3 CMD curl -f x || exit 1", '\\').unwrap();
        assert_eq!(check.command, Some(Command::Shell("curl -f x || exit 1".to_owned())));
        assert_eq!((check.interval, check.retries), (Some(60_000_000_000), Some(3)));
        assert_eq!(healthcheck("none", '\\').unwrap(), Healthcheck::default());
        for text in ["", "NONE x", "--interval=1m NONE", "CMD", "RUN x", "--retries=-1 CMD x", "--intervall=1s CMD x"] {
            assert!(healthcheck(text, '\\').is_err(), "{text}");
        }
    }
}
