//! Places in a list, as text that clients pass back unread.
//!
//! `2`, the step (`n` to what comes next, `p` to what comes before), 16 hexadecimal digits of the row's key, 8 of a checksum
//! over list, step and key: a cursor that was cut off, changed or taken from another list is noticed.

use super::digest::fingerprint;

/// The version of the format; another one would be refused, not misread.
const VERSION: char = '2';
const KEY_DIGITS: usize = 16;
const CHECKSUM_DIGITS: usize = 8;

/// Where a cursor leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To the rows behind this key.
    Next(i64),
    /// To the rows before this key.
    Previous(i64),
}

/// The cursor of this step in `list`, which is told from all other lists and orders by its name.
#[must_use]
pub fn encode(list: &str, step: Step) -> String {
    let (letter, key) = match step {
        Step::Next(key) => ('n', key),
        Step::Previous(key) => ('p', key),
    };
    let checksum = fingerprint(&format!("{list}:{letter}:{key}"));
    format!("{VERSION}{letter}{key:0KEY_DIGITS$x}{}", &checksum[..CHECKSUM_DIGITS])
}

/// The step in `cursor`; `None` when it is no cursor of `list`.
#[must_use]
pub fn decode(list: &str, cursor: &str) -> Option<Step> {
    let rest = cursor.strip_prefix(VERSION)?;
    let (letter, rest) = rest.split_at_checked(1)?;
    let key = i64::from_str_radix(rest.get(..KEY_DIGITS)?, 16).ok()?;
    let step = match letter {
        "n" => Step::Next(key),
        "p" => Step::Previous(key),
        _ => return None,
    };
    // Writing it again is the strictest way of reading: there is one spelling only.
    (encode(list, step) == cursor).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_there_and_back() {
        for key in [0, 1, 4096, 1 << 52, i64::MAX] {
            for step in [Step::Next(key), Step::Previous(key)] {
                let cursor = encode("messages", step);
                assert_eq!(decode("messages", &cursor), Some(step), "{cursor}");
                assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric()));
            }
        }
    }

    #[test]
    fn what_was_changed_cut_off_or_taken_from_another_list_is_refused() {
        let good = encode("messages", Step::Next(0xabc_def0_1234));
        assert_eq!(decode("contacts", &good), None);
        for (place, _) in good.char_indices() {
            assert_eq!(decode("messages", &good[..place]), None);
            let mut changed = good.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            assert_eq!(decode("messages", &String::from_utf8(changed).unwrap()), None);
        }
        let turned = good.replacen('n', "p", 1);
        for wrong in [
            "",
            "2",
            "2n",
            "2é",
            "2n+00000000000000000000000",
            "ééééééééééééé",
            turned.as_str(),
            &good.to_uppercase(),
            &format!("{good}0"),
        ] {
            assert_eq!(decode("messages", wrong), None, "{wrong}");
        }
    }
}
