//! Why a message cannot be built: the field by its path, what it has, and what is allowed.

use std::collections::BTreeSet;

/// Characters in texts and ids for which Meta documents no limit: everything has one here.
pub const OTHER_TEXT_MAX: usize = 4096;
/// Characters in an address on the web. Source: Meta, template reference (2,000 for a URL button); ours elsewhere.
pub const URL_MAX: usize = 2000;

/// Why a message cannot be built. `field` is a path such as `buttons[1].title`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A field has to hold something.
    #[error("`{field}` is empty; write something there")]
    Empty {
        /// The field.
        field: String,
    },
    /// A field is too long.
    #[error("`{field}` has {length} characters, {limit} are allowed; shorten it")]
    TooLong {
        /// The field.
        field: String,
        /// What it has.
        length: usize,
        /// What Meta allows.
        limit: usize,
    },
    /// Too many or too few of something.
    #[error("`{field}` has {count} entries, 1 to {limit} are allowed")]
    Count {
        /// The field.
        field: String,
        /// How many there are.
        count: usize,
        /// How many Meta allows.
        limit: usize,
    },
    /// Two entries that have to differ do not.
    #[error("`{field}` holds `{value}` twice; each has to be different")]
    Twice {
        /// The field.
        field: String,
        /// What is there twice.
        value: String,
    },
    /// Nobody asks for such a field.
    #[error("`{field}` is not known here; known are `{}`", known.join("`, `"))]
    Unknown {
        /// The field.
        field: String,
        /// What there may be in its place.
        known: Vec<&'static str>,
    },
    /// Missing, or wrong in another way.
    #[error("`{field}` {why}")]
    Wrong {
        /// The field.
        field: String,
        /// What is wrong, to be read after its name, with the mend.
        why: String,
    },
}

impl Invalid {
    /// `field` is wrong: `why` is read after its name.
    #[must_use]
    pub fn wrong(field: &str, why: impl Into<String>) -> Self {
        Self::Wrong { field: field.to_owned(), why: why.into() }
    }

    /// The path of the field.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Empty { field }
            | Self::TooLong { field, .. }
            | Self::Count { field, .. }
            | Self::Twice { field, .. }
            | Self::Unknown { field, .. }
            | Self::Wrong { field, .. } => field,
        }
    }

    /// What was there and what is allowed, in characters or entries, where a limit is to blame.
    #[must_use]
    pub fn measure(&self) -> Option<(usize, usize)> {
        match self {
            Self::TooLong { length, limit, .. } => Some((*length, *limit)),
            Self::Count { count, limit, .. } => Some((*count, *limit)),
            Self::Empty { .. } | Self::Twice { .. } | Self::Unknown { .. } | Self::Wrong { .. } => None,
        }
    }

    /// The same, told from one level higher: `title` under `buttons[1]` is `buttons[1].title`. A field that is empty is
    /// that level itself.
    #[must_use]
    pub fn under(mut self, outer: &str) -> Self {
        let (Self::Empty { field }
        | Self::TooLong { field, .. }
        | Self::Count { field, .. }
        | Self::Twice { field, .. }
        | Self::Unknown { field, .. }
        | Self::Wrong { field, .. }) = &mut self;
        *field = if field.is_empty() { outer.to_owned() } else { format!("{outer}.{field}") };
        self
    }
}

/// Not blank, and at most `limit` characters.
pub(super) fn check(field: &str, text: &str, limit: usize) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::Empty { field: field.to_owned() });
    }
    let length = text.chars().count();
    if length > limit { Err(Invalid::TooLong { field: field.to_owned(), length, limit }) } else { Ok(()) }
}

/// The text, if it passes [`check`].
pub(super) fn filled(field: &str, text: String, limit: usize) -> Result<String, Invalid> {
    check(field, &text, limit).map(|()| text)
}

/// As [`filled`], for a text that may be absent.
pub(super) fn perhaps(field: &str, text: Option<String>, limit: usize) -> Result<Option<String>, Invalid> {
    text.map(|text| filled(field, text, limit)).transpose()
}

/// One to `limit` entries.
pub(super) fn counted(field: &str, count: usize, limit: usize) -> Result<(), Invalid> {
    if (1..=limit).contains(&count) {
        Ok(())
    } else {
        Err(Invalid::Count { field: field.to_owned(), count, limit })
    }
}

/// No value twice.
pub(super) fn distinct<'a>(field: &str, values: impl Iterator<Item = &'a str>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(Invalid::Twice { field: field.to_owned(), value: value.to_owned() });
        }
    }
    Ok(())
}

/// An absolute address that begins with one of `schemes` (`https://`).
pub(super) fn address(field: &str, text: &str, schemes: &[&str]) -> Result<(), Invalid> {
    check(field, text, URL_MAX)?;
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if clean && host.is_some_and(|host| !host.is_empty()) {
        Ok(())
    } else {
        let wanted = schemes.join("` or `");
        Err(Invalid::wrong(field, format!("has to be a web address that begins with `{wanted}`")))
    }
}
