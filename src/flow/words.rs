//! Comparing what people type with what a file says.

/// As it is compared: trimmed, in lower case, blanks in runs of one, without punctuation at the end (`1.`, `Hi!`).
pub(super) fn normal(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let kept = words.trim_end_matches(['.', ',', '!', '?', ')', ':', ';', ' ']).len();
    // A text of nothing but punctuation is itself: `?` may be a word for help.
    if kept > 0 {
        words.truncate(kept);
    }
    words
}

/// The candidate that was probably meant: at most a third of the letters differ.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A "did you mean" for `word`, if a candidate is near.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// Edits between two words, an exchange of neighbours counting as one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_compared_without_case_blanks_and_final_punctuation() {
        for typed in ["  Order   Status ", "order status.", "ORDER STATUS !"] {
            assert_eq!(normal(typed), "order status");
        }
        assert_eq!((normal("1)").as_str(), normal("?").as_str()), ("1", "?"));
    }

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        assert_eq!(nearest("mian", ["main", "orders"]), Some("main"));
        assert_eq!(nearest("optoins", ["options", "option"]), Some("options"));
        assert_eq!(nearest("xyz", ["main"]), None);
    }
}
