//! Parts of a blob, and blobs that the client has already: `Range`, `If-Range`, `If-None-Match` (RFC 9110, sections 13 and 14).

use std::ops::Range;

use hyper::header::{HeaderMap, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What of some content is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// The bytes from and to these positions; never none.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Unsatisfiable,
}

/// Returns what is wanted of content of `size` bytes that has this entity tag. Where several parts are wanted at once, the
/// whole is given: that is allowed, and every client takes it.
pub(super) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Wanted::Whole };
    // without a date of our own, only the entity tag can be compared
    if headers.get(IF_RANGE).is_some_and(|tag| tag.as_bytes() != etag.as_bytes()) {
        return Wanted::Whole;
    }
    let Some((unit, list)) = value.to_str().ok().and_then(|value| value.split_once('=')) else { return Wanted::Whole };
    // units that are not known are to be ignored
    if !unit.trim().eq_ignore_ascii_case("bytes") || list.contains(',') {
        return Wanted::Whole;
    }
    part(list.trim(), size).map_or(Wanted::Unsatisfiable, Wanted::Part)
}

/// Returns the bytes that `FIRST-LAST`, `FIRST-` or `-COUNT` mean; `None` when there are none, or it is none of these.
fn part(spec: &str, size: u64) -> Option<Range<u64>> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // more digits than a number has mean a position behind every end
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match spec.split_once('-')? {
        ("", count) => size.saturating_sub(number(count)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    (range.start < range.end).then_some(range)
}

/// Returns whether the client says that it has the content with this entity tag.
pub(super) fn is_held(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(',')).map(str::trim).any(|tag| {
        // a weak comparison, as it is asked for here
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(range: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        headers
    }

    #[test]
    fn one_part_is_given_and_nothing_beyond_the_end() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-99", Wanted::Part(0..100)),
            ("bytes=10-19", Wanted::Part(10..20)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("Bytes = 1-2", Wanted::Part(1..3)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..100)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..100)),
            ("bytes=100-", Wanted::Unsatisfiable),
            ("bytes=100-200", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-2", Wanted::Unsatisfiable),
            ("bytes=-", Wanted::Unsatisfiable),
            ("bytes=", Wanted::Unsatisfiable),
            ("bytes=a-b", Wanted::Unsatisfiable),
            ("bytes=+1-2", Wanted::Unsatisfiable),
            ("bytes=1--2", Wanted::Unsatisfiable),
            ("bytes=50-59,0-9", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("nonsense", Wanted::Whole),
        ] {
            assert_eq!(wanted(&with(range), 100, "\"x\""), expected, "{range}");
        }
        assert_eq!(wanted(&with("bytes=0-"), 0, "\"x\""), Wanted::Unsatisfiable, "there is nothing in an empty blob");
        assert_eq!(wanted(&HeaderMap::new(), 100, "\"x\""), Wanted::Whole);
        let mut twice = with("bytes=0-1");
        twice.append(RANGE, "bytes=4-5".parse().unwrap());
        assert_eq!(wanted(&twice, 100, "\"x\""), Wanted::Whole);
    }

    #[test]
    fn a_part_is_of_the_content_that_the_client_began_with() {
        for (tag, expected) in [
            ("\"x\"", Wanted::Part(0..1)),
            ("\"y\"", Wanted::Whole),
            ("W/\"x\"", Wanted::Whole),
            ("Sat, 21 Nov 2026 00:00:00 GMT", Wanted::Whole),
        ] {
            let mut headers = with("bytes=0-0");
            headers.insert(IF_RANGE, tag.parse().unwrap());
            assert_eq!(wanted(&headers, 100, "\"x\""), expected, "{tag}");
        }
    }

    #[test]
    fn what_the_client_has_is_known_by_its_tag() {
        for (tags, expected) in
            [("\"x\"", true), ("W/\"x\"", true), ("\"a\", \"x\"", true), ("*", true), ("\"a\"", false), ("x", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, tags.parse().unwrap());
            assert_eq!(is_held(&headers, "\"x\""), expected, "{tags}");
        }
        assert!(!is_held(&HeaderMap::new(), "\"x\""));
    }
}
