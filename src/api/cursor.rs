//! Places in a list, as text that clients pass back unread.
//!
//! `1`, 16 hexadecimal digits of the row's id, 8 of a checksum over list and id: a cursor that was cut off, changed or
//! taken from another list is noticed.

use super::digest::fingerprint;

/// The version of the format; another one would be refused, not misread.
const VERSION: char = '1';
const ID_DIGITS: usize = 16;
const CHECKSUM_DIGITS: usize = 8;

/// The cursor of the row with this id in `list`.
#[must_use]
pub fn encode(list: &str, id: i64) -> String {
    let checksum = fingerprint(&format!("{list}:{id}"));
    format!("{VERSION}{id:0ID_DIGITS$x}{}", &checksum[..CHECKSUM_DIGITS])
}

/// The id in `cursor`; `None` when it is no cursor of `list`.
#[must_use]
pub fn decode(list: &str, cursor: &str) -> Option<i64> {
    let digits = cursor.strip_prefix(VERSION)?.get(..ID_DIGITS)?;
    let id = i64::from_str_radix(digits, 16).ok()?;
    // Writing it again is the strictest way of reading: there is one spelling only.
    (encode(list, id) == cursor).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_there_and_back() {
        for id in [0, 1, 4096, 1 << 52, i64::MAX] {
            let cursor = encode("messages", id);
            assert_eq!(decode("messages", &cursor), Some(id), "{cursor}");
            assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn what_was_changed_cut_off_or_taken_from_another_list_is_refused() {
        let good = encode("messages", 0xabc_def0_1234);
        assert_eq!(decode("contacts", &good), None);
        for (place, _) in good.char_indices() {
            assert_eq!(decode("messages", &good[..place]), None);
            let mut changed = good.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            assert_eq!(decode("messages", &String::from_utf8(changed).unwrap()), None);
        }
        for wrong in
            ["", "1", "1+00000000000000000000000", "ééééééééééééé", &good.to_uppercase(), &format!("{good}0")]
        {
            assert_eq!(decode("messages", wrong), None, "{wrong}");
        }
    }
}
