//! Whose files are to be: `USER[:GROUP]` as numbers, by the accounts of the image.
//!
//! docker's reference ("COPY --chown") and what BuildKit does: a number is taken as it is, and one that stands alone is the
//! group's number too. A name is looked up in the image's own `etc/passwd` or `etc/group`, never in those of this machine;
//! the name of a user alone means his primary group as well. `USER:` is the same as `USER`.

use super::copy::Accounts;
use crate::ops::Error;
use crate::text::{escaped, human_size, nearest, quoted};

/// The most that a file with accounts may have, in bytes.
const LARGEST: usize = 1 << 20;

/// Returns the numbers of a user and a group.
///
/// # Errors
/// When the image does not know a name, or the text has another form.
pub(super) fn resolve(said: &str, accounts: &Accounts<'_>) -> Result<(u32, u32), Error> {
    let (user, group) = match said.split_once(':') {
        None | Some((_, "")) => (said.trim_end_matches(':'), None),
        Some((user, group)) => (user, Some(group)),
    };
    if user.is_empty() || group.is_some_and(|group| group.contains(':')) {
        return Err(Error::Usage {
            message: format!("{} is no owner, expected USER or USER:GROUP", quoted(said)),
            hint: None,
        });
    }
    let (uid, primary) = match number(user)? {
        Some(uid) => (uid, uid),
        None => {
            let numbers = Account { kind: "user", file: "etc/passwd", said, name: user }.find(accounts, [2, 3])?;
            (numbers[0], numbers[1])
        }
    };
    let Some(group) = group else { return Ok((uid, primary)) };
    let gid = match number(group)? {
        Some(gid) => gid,
        None => Account { kind: "group", file: "etc/group", said, name: group }.find(accounts, [2])?[0],
    };
    Ok((uid, gid))
}

/// Reads what has the form of a number.
fn number(text: &str) -> Result<Option<u32>, Error> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    // the last number means "leave it as it is" to chown(2)
    text.parse().ok().filter(|number| *number != u32::MAX).map(Some).ok_or_else(|| Error::Usage {
        message: format!("{} is no number of a user or group, expected at most {}", quoted(text), u32::MAX - 1),
        hint: None,
    })
}

/// A name that is looked up.
struct Account<'a> {
    kind: &'static str,
    file: &'static str,
    /// All that was said of the owner.
    said: &'a str,
    name: &'a str,
}

impl Account<'_> {
    /// Returns numbers of the first line that has the name: passwd(5), group(5).
    fn find<const COUNT: usize>(&self, accounts: &Accounts<'_>, fields: [usize; COUNT]) -> Result<[u32; COUNT], Error> {
        let Self { kind, file, name, .. } = self;
        let Some(text) = accounts(file)? else {
            return Err(self.unknown(format!("the image has no {file}"), None));
        };
        if text.len() > LARGEST {
            let size = human_size(text.len() as u64);
            return Err(
                self.unknown(format!("{file} has {size}, and {} is the limit", human_size(LARGEST as u64)), None)
            );
        }
        let lines = || text.split(|byte| *byte == b'\n');
        let name_of = |line| <[u8]>::split(line, |byte| *byte == b':').next().unwrap_or_default();
        let Some(line) = lines().find(|line| name_of(line) == name.as_bytes()) else {
            let names = lines().filter_map(|line| std::str::from_utf8(name_of(line)).ok());
            return Err(self.unknown(format!("{file} of the image has no such {kind}"), nearest(name, names)));
        };
        let line: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let mut numbers = [0; COUNT];
        for (number, field) in numbers.iter_mut().zip(fields) {
            let text = line.get(field).and_then(|field| std::str::from_utf8(field).ok());
            let Some(found) = text.and_then(|text| text.parse().ok()).filter(|found| *found != u32::MAX) else {
                return Err(self.unknown(format!("its line in {file} of the image has no numbers"), None));
            };
            *number = found;
        }
        Ok(numbers)
    }

    fn unknown(&self, cause: String, near: Option<&str>) -> Error {
        let Self { kind, said, name, .. } = self;
        let meant = near.map(|near| format!("did you mean {}? ", escaped(near))).unwrap_or_default();
        let message = format!("cannot find the {kind} {} of {}", quoted(name), quoted(said));
        Error::Absent { message, cause: Some(cause), hint: Some(format!("{meant}use numbers, such as 1000:1000")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"# users\nroot:x:0:0:root:/root:/bin/sh\napp:x:101:202:\xff:/:\nbad:x:-1:z\nshort:x\napp:x:9:9::\n";
    const GROUP: &[u8] = b"root:x:0:\nwheel:x:10:app\nhuge:x:4294967296:\n";

    fn numbers(said: &str, passwd: Option<&[u8]>) -> Result<(u32, u32), Error> {
        resolve(said, &|file| {
            Ok(match file {
                "etc/passwd" => passwd.map(<[u8]>::to_vec),
                "etc/group" => Some(GROUP.to_vec()),
                other => panic!("{other}"),
            })
        })
    }

    #[test]
    fn names_are_those_of_the_image() {
        for (said, expected) in [
            ("7", (7, 7)),
            ("7:", (7, 7)),
            ("7:8", (7, 8)),
            ("007:4294967294", (7, 4_294_967_294)),
            ("app", (101, 202)),
            ("app:", (101, 202)),
            ("app:8", (101, 8)),
            ("app:wheel", (101, 10)),
            ("7:wheel", (7, 10)),
            ("root", (0, 0)),
        ] {
            assert_eq!(numbers(said, Some(PASSWD)).unwrap(), expected, "{said}");
        }
        assert_eq!(numbers("7:8", None).unwrap(), (7, 8), "numbers need no accounts");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let large = vec![b'\n'; LARGEST + 1];
        for (said, passwd, expected) in [
            ("apq", Some(PASSWD), "did you mean app? use numbers"),
            ("bad", Some(PASSWD), "has no numbers"),
            ("short", Some(PASSWD), "has no numbers"),
            ("nobody", Some(PASSWD), "etc/passwd of the image has no such user"),
            ("nobody", None, "the image has no etc/passwd"),
            ("nobody", Some(&large[..]), "is the limit"),
            ("app:staff", Some(PASSWD), "etc/group of the image has no such group"),
            ("app:huge", Some(PASSWD), "has no numbers"),
            ("", Some(PASSWD), "expected USER or USER:GROUP"),
            (":", Some(PASSWD), "expected USER or USER:GROUP"),
            (":7", Some(PASSWD), "expected USER or USER:GROUP"),
            ("a:b:c", Some(PASSWD), "expected USER or USER:GROUP"),
            ("4294967295", Some(PASSWD), "expected at most 4294967294"),
            ("1:99999999999", Some(PASSWD), "expected at most 4294967294"),
            ("\u{1b}[2J", Some(PASSWD), "\\u{1b}[2J"),
        ] {
            let error = numbers(said, passwd).unwrap_err();
            let told = format!("{error} {:?} {:?}", error.causes(), error.hint()).replace("\\\\", "\\");
            assert!(told.contains(expected), "{said}: {told}");
        }
    }
}
