//! Long texts in several messages, cut where a reader would pause and never silently.

/// Messages that one text may become.
pub(super) const PARTS_MAX: usize = 4;
/// Ends the last part when there was more to say.
const MORE: char = '…';

/// Cuts `text` into parts of at most `limit` characters, at ends of paragraphs, lines or words. What does not fit into
/// [`PARTS_MAX`] parts is dropped, and the last part says so with `…`. A blank text has no parts.
pub(super) fn split(text: &str, limit: usize) -> Vec<String> {
    let mut rest = text.trim();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        if parts.len() + 1 == PARTS_MAX && rest.chars().count() > limit {
            let mut last = head(rest, limit - 1).trim_end().to_owned();
            last.push(MORE);
            parts.push(last);
            break;
        }
        let part = head(rest, limit);
        rest = rest[part.len()..].trim_start();
        parts.push(part.trim_end().to_owned());
    }
    parts
}

/// As much from the beginning as fits, up to the best place to pause in its second half.
fn head(text: &str, limit: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(limit) else { return text };
    let fits = &text[..end];
    if text[end..].starts_with(char::is_whitespace) {
        return fits;
    }
    let pause =
        ["\n\n", "\n", " "].iter().find_map(|pause| fits.rfind(pause).filter(|place| *place >= end / 2));
    pause.map_or(fits, |place| &fits[..place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_one_part_and_a_blank_one_none() {
        assert_eq!(split(" hello \n", 10), ["hello"]);
        assert!(split(" \n", 10).is_empty());
    }

    #[test]
    fn cuts_are_at_paragraphs_before_lines_before_words() {
        assert_eq!(split("aaaa bb\n\nccc dd", 10), ["aaaa bb", "ccc dd"]);
        assert_eq!(split("aaaa bb\nccc dd", 10), ["aaaa bb", "ccc dd"]);
        assert_eq!(split("aaaa bb ccc", 10), ["aaaa bb", "ccc"]);
        assert_eq!(split("ééééééé", 3), ["ééé", "ééé", "é"]);
    }

    #[test]
    fn too_much_ends_with_an_ellipsis_within_the_limit() {
        let parts = split(&"word ".repeat(100), 20);
        assert_eq!(parts.len(), PARTS_MAX);
        assert!(parts.iter().all(|part| part.chars().count() <= 20));
        assert!(parts[PARTS_MAX - 1].ends_with('…') && !parts[0].ends_with('…'));
    }
}
