//! "Did you mean …?": the known name that is nearest to a misspelt one.

/// The nearest of `known` to `given`, when it is near enough to be meant. Case, `-` and `_` do not count; a name that
/// is right in its last part but in the wrong group is near.
pub(super) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = plain(given);
    let allowed = (given.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|name| {
            let candidate = plain(name);
            let moved = 1 + distance(last(&given), last(&candidate));
            (distance(&given, &candidate).min(moved), name)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Single-character insertions, deletions and replacements between two names (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_changes() {
        for (a, b, expected) in [("", "", 0), ("kitten", "sitting", 3), ("abc", "abc", 0), ("", "ab", 2)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn a_slip_a_dash_and_a_wrong_group_are_understood_and_noise_is_not() {
        let known = ["listen", "limits.turn_timeout", "limits.send_timeout"];
        assert_eq!(nearest("lsiten", known), Some("listen"));
        assert_eq!(nearest("limits.turn-timeout", known), Some("limits.turn_timeout"));
        assert_eq!(nearest("turn_timeout", known), Some("limits.turn_timeout"));
        assert_eq!(nearest("database.send_timeout", known), Some("limits.send_timeout"));
        assert_eq!(nearest("colour", known), None);
    }
}
