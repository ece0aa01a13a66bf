//! EXPOSE and STOPSIGNAL: words that have to be checked, because whoever runs the image refuses others.

use std::collections::BTreeSet;

use super::fault::Fault;
use crate::text::quoted;

/// The signals of Linux, without `SIG`.
const SIGNALS: [&str; 35] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU",
];

/// Reads ports, `PORT[-PORT][/PROTOCOL]`, into the form that a config has: one a port, with its protocol.
pub(super) fn read(words: &[String]) -> Result<Vec<String>, Fault> {
    let mut ports = BTreeSet::new();
    for word in words {
        let wrong = || {
            Fault::new(format!("{} is no port, expected PORT, PORT/udp or FIRST-LAST", quoted(word)))
                .hint("which port of the machine is meant is said where the image is run")
        };
        let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(wrong());
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| match text.parse::<u16>() {
            Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
            _ => Err(wrong()),
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        ports.extend((first..=last).map(|port| (port, protocol.clone())));
    }
    if ports.is_empty() {
        return Err(Fault::new("no port is left once it is filled in, expected a port"));
    }
    Ok(ports.into_iter().map(|(port, protocol)| format!("{port}/{protocol}")).collect())
}

/// Refuses what is no signal of Linux.
pub(super) fn check_signal(word: &str) -> Result<(), Fault> {
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse::<u8>().ok()).flatten();
    let real_time = |start: &str, sign: char| {
        let count = name.strip_prefix(start)?.strip_prefix(sign)?;
        count.parse::<u8>().ok().filter(|count| *count <= 30)
    };
    let known = matches!(number, Some(1..=64))
        || SIGNALS.contains(&name)
        || name == "XFSZ"
        || real_time("RTMIN", '+').is_some()
        || real_time("RTMAX", '-').is_some();
    if known {
        return Ok(());
    }
    let fault = Fault::new(format!("{} is no signal, expected a name such as SIGTERM or a number", quoted(word)));
    Err(match crate::text::nearest(name, SIGNALS) {
        Some(near) => fault.hint(format!("did you mean SIG{near}?")),
        None => fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_a_protocol_each() {
        let read = |text: &str| read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(
            read("80 53/UDP 80/tcp 8000-8002/sctp").unwrap().join(" "),
            "53/udp 80/tcp 8000/sctp 8001/sctp 8002/sctp"
        );
        for word in ["x", "", "80/", "80/x", "65536", "-1", "+1", "2-1", "1-", "127.0.0.1:80:80", "80:80", "1-2-3"] {
            assert!(read(word).is_err(), "{word}");
        }
        assert!(super::read(&[]).is_err());
    }

    #[test]
    fn signals_are_those_of_linux() {
        for word in ["SIGTERM", "term", "9", "64", "RTMIN+3", "SIGRTMAX-1", "SIGXFSZ"] {
            assert!(check_signal(word).is_ok(), "{word}");
        }
        for word in ["", "0", "65", "SIGX", "+9", "RTMIN+99", "SIGRTMIN3", "a b"] {
            assert!(check_signal(word).is_err(), "{word}");
        }
    }
}
