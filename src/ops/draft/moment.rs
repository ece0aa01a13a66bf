//! Moments: seconds since 1970, and the words for them in documents (RFC 3339).

use jiff::Timestamp;

use crate::ops::Error;
use crate::text::quoted;

/// Returns a moment as documents have it: `2024-05-01T12:00:00Z`.
///
/// # Errors
/// When it lies before 1970, or has a year of more than four digits.
pub fn written(seconds: i64) -> Result<String, Error> {
    match Timestamp::from_second(seconds) {
        Ok(moment) if seconds >= 0 => Ok(moment.to_string()),
        _ => Err(Error::Usage {
            message: format!("cannot use the time {seconds}: it is not between 1970 and the end of 9999"),
            hint: Some("give seconds since 1970".to_owned()),
        }),
    }
}

/// Reads a moment: seconds since 1970, or RFC 3339.
///
/// # Errors
/// When it is neither.
pub fn read(text: &str) -> Result<i64, Error> {
    if let Ok(seconds) = text.parse::<i64>() {
        return written(seconds).map(|_| seconds);
    }
    match text.parse::<Timestamp>() {
        Ok(moment) => written(moment.as_second()).map(|_| moment.as_second()),
        Err(_) => Err(Error::Usage {
            message: format!("cannot use the time {}", quoted(text)),
            hint: Some("give seconds since 1970, or a moment such as 2024-05-01T12:00:00Z".to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_spelling() {
        for (typed, seconds, spelled) in [
            ("0", 0, "1970-01-01T00:00:00Z"),
            ("1714564800", 1_714_564_800, "2024-05-01T12:00:00Z"),
            ("2024-05-01T12:00:00Z", 1_714_564_800, "2024-05-01T12:00:00Z"),
            ("2024-05-01T14:00:00.9+02:00", 1_714_564_800, "2024-05-01T12:00:00Z"),
            ("253402207199", 253_402_207_199, "9999-12-30T21:59:59Z"),
        ] {
            assert_eq!(read(typed).unwrap(), seconds, "{typed}");
            assert_eq!(written(seconds).unwrap(), spelled);
        }
        for typed in ["", "-1", "253402300799", "yesterday", "2024-05-01", "9223372036854775807"] {
            assert!(read(typed).is_err(), "{typed}");
        }
    }
}
