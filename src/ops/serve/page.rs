//! Lists in pages (distribution-spec v1.1.1, "Listing Tags").

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::Code;
use super::route::{Refusal, field};
use crate::text::quoted;

/// What stands in a link as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/');

/// A page of a list, and where the next one is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    /// What is on it.
    pub(super) items: &'a [String],
    /// The value of the header field `Link`; none on the last page.
    pub(super) link: Option<String>,
}

/// Returns the page that a query asks for: what comes after `last`, at most `n`. The list must be sorted by its bytes. Without
/// `n` all is given.
///
/// # Errors
/// [`Code::PaginationNumberInvalid`] when `n` is no number.
pub(super) fn page<'a>(list: &'a [String], path: &str, query: Option<&str>) -> Result<Page<'a>, Refusal> {
    let most = match field(query, "n") {
        Some(text) if !text.is_empty() => {
            let number = Some(&text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            // more digits than a number has are more than any list
            let number = number.map(|text| text.parse().unwrap_or(usize::MAX));
            let reason =
                || format!("n is {}, expected how many are wanted", quoted(&text.chars().take(20).collect::<String>()));
            number.ok_or_else(|| (Code::PaginationNumberInvalid, reason()))?
        }
        _ => usize::MAX,
    };
    let start = field(query, "last").map_or(0, |last| list.partition_point(|item| *item <= last));
    let rest = &list[start..];
    let items = &rest[..most.min(rest.len())];
    let link = items.last().filter(|_| items.len() < rest.len()).map(|last| {
        let mirrored =
            field(query, "ns").map(|ns| format!("&ns={}", utf8_percent_encode(&ns, PLAIN))).unwrap_or_default();
        format!("<{path}?n={most}&last={}{mirrored}>; rel=\"next\"", utf8_percent_encode(last, PLAIN))
    });
    Ok(Page { items, link })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_item_is_on_one_page() {
        let all: Vec<String> = (0..10_000).map(|at| format!("v{at:05}")).collect();
        for most in [1, 7, 100, 5_000, 9_999, 10_000, 20_000] {
            let (mut got, mut query) = (Vec::new(), format!("n={most}"));
            loop {
                let page = page(&all, "/v2/app/tags/list", Some(&query)).unwrap();
                got.extend_from_slice(page.items);
                let Some(link) = page.link else { break };
                let (path, rest) = link.trim_start_matches('<').split_once('?').unwrap();
                assert_eq!(path, "/v2/app/tags/list");
                query = rest.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
                assert!(got.len() < all.len(), "a link to an empty page");
            }
            assert_eq!(got, all, "{most} a page");
        }
    }

    #[test]
    fn a_page_starts_after_the_last_name_whether_it_is_there_or_not() {
        let all = list(&["1.0", "V1", "latest", "v1", "v2"]);
        for (query, expected, goes_on) in [
            ("", &all[..], false),
            ("last=V1", &all[2..], false),
            ("last=V2", &all[2..], false),
            ("last=z", &[], false),
            ("n=0", &[], false),
            ("n=2&last=", &all[..2], true),
            ("n=2&last=latest", &all[3..], false),
            ("n=99999999999999999999999999", &all[..], false),
        ] {
            let page = page(&all, "/v2/a/tags/list", Some(query)).unwrap();
            assert_eq!((page.items, page.link.is_some()), (expected, goes_on), "{query}");
        }
        let link = page(&all, "/v2/_catalog", Some("n=1&ns=ghcr.io")).unwrap().link.unwrap();
        assert_eq!(link, "</v2/_catalog?n=1&last=1.0&ns=ghcr.io>; rel=\"next\"");
        for wrong in ["n=-1", "n=x", "n=1.5", "n=%0a", "n=+1"] {
            assert_eq!(page(&all, "", Some(wrong)).unwrap_err().0, Code::PaginationNumberInvalid, "{wrong}");
        }
    }
}
