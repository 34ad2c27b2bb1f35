//! Just enough of SQL to find its bound parameters: `:name` outside quotes, comments and `::` casts.

use std::ops::Range;

/// What can be told of a statement without a database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outline {
    /// The first word, in lower case.
    pub(super) verb: String,
    /// Every parameter with its place, the colon included.
    pub(super) params: Vec<(String, Range<usize>)>,
    /// Where a second statement begins.
    pub(super) second: Option<usize>,
}

/// Scans a statement.
pub(super) fn outline(sql: &str) -> Outline {
    let bytes = sql.as_bytes();
    let mut outline = Outline { verb: String::new(), params: Vec::new(), second: None };
    let mut ended = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let next = bytes.get(at + 1).copied();
        let rest = &sql[at..];
        let length = match (byte, next) {
            (b'\'' | b'"', _) => quoted(rest, byte),
            (b'-', Some(b'-')) => rest.find('\n').unwrap_or(rest.len()),
            (b'/', Some(b'*')) => rest.find("*/").map_or(rest.len(), |end| end + 2),
            (b':', Some(b':')) => 2,
            (b':', Some(c)) if is_word(c) => {
                let length = 1 + word(&rest[1..]);
                outline.params.push((rest[1..length].to_owned(), at..at + length));
                length
            }
            (b';', _) => {
                ended = true;
                1
            }
            (c, _) if is_word(c) => {
                let length = word(rest);
                if outline.verb.is_empty() {
                    outline.verb = rest[..length].to_lowercase();
                }
                length
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        let comment = matches!((byte, next), (b'-', Some(b'-')) | (b'/', Some(b'*')));
        if ended && outline.second.is_none() && !comment && byte != b';' && !byte.is_ascii_whitespace() {
            outline.second = Some(at);
        }
        at += length;
    }
    outline
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word(text: &str) -> usize {
    text.bytes().take_while(|byte| is_word(*byte)).count()
}

/// The length of a quoted text; a doubled quote within it ends one and begins the next, which comes to the same.
fn quoted(text: &str, quote: u8) -> usize {
    text.bytes().skip(1).position(|byte| byte == quote).map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_and_quotes_comments_and_casts_are_not() {
        let sql = "SELECT ':no', \":no\", a::text -- :no\n/* :no */ from t where b = :yes and c like 'it''s :no' || :ü";
        let outline = outline(sql);
        assert_eq!(outline.verb, "select");
        assert_eq!(outline.params.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["yes"]);
        assert_eq!(&sql[outline.params[0].1.clone()], ":yes");
    }

    #[test]
    fn a_second_statement_is_seen_and_a_final_semicolon_is_none() {
        assert_eq!(outline("select 1; -- done\n").second, None);
        assert_eq!(outline("select ';'; drop table t").second, Some(12));
    }
}
