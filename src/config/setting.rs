//! How a setting is described, and the macro that makes structs out of the descriptions.
//!
//! [`settings!`] writes, for every group, the public struct, its defaults and the rows by which it is read and listed,
//! all from the same lines: a field without a row, or a row without a field, cannot be written.

use super::rule::{Rule, Shown};

/// One setting of `T`.
pub(super) struct Setting<T> {
    /// Its key within its group.
    pub(super) field: &'static str,
    /// The environment variable that wins over the file; empty when there is none.
    pub(super) env: &'static str,
    /// Its default as text; empty when there is none.
    pub(super) default: &'static str,
    /// What it does: a sentence or two.
    pub(super) doc: &'static str,
    /// What is allowed and whether it is a secret.
    pub(super) about: fn() -> About,
    /// Takes a value from text; false when its rule does not allow it.
    pub(super) read: fn(&mut T, &str) -> bool,
    /// The present value.
    pub(super) show: fn(&T) -> Shown,
}

/// Settings that belong together.
pub(super) struct Group<T: 'static> {
    /// The TOML table in which they stand; empty for the top of the file.
    pub(super) name: &'static str,
    /// What they are about.
    pub(super) doc: &'static str,
    /// The settings.
    pub(super) settings: &'static [Setting<T>],
}

impl<T> Group<T> {
    /// The dotted key of one of its settings.
    pub(super) fn key(&self, setting: &Setting<T>) -> String {
        if self.name.is_empty() {
            setting.field.to_owned()
        } else {
            format!("{}.{}", self.name, setting.field)
        }
    }
}

/// What a complaint needs to know of a rule.
pub(super) struct About {
    /// What is allowed.
    pub(super) allowed: String,
    /// Whether a wrong value must not be repeated.
    pub(super) secret: bool,
}

impl<T> From<Rule<T>> for About {
    fn from(rule: Rule<T>) -> Self {
        Self { allowed: rule.allowed, secret: rule.secret }
    }
}

/// Writes structs and their rows. Of each group: what it is about; its struct and its place in the root; then its
/// settings as `field: type = default, environment name, rule`; then fields of the struct that are not settings.
macro_rules! settings {
    ($root:ident: $(
        $(#[doc = $about:literal])+
        struct $group:ident $(in $part:ident)? {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:literal, $env:literal, $rule:expr;
            )+
            $(.. $(
                $(#[doc = $rest_doc:literal])+
                $visibility:vis $rest:ident: $rest_type:ty;
            )+)?
        }
    )+) => {
        $(
            $(#[doc = $about])+
            #[derive(Debug, Clone)]
            pub struct $group {
                $($(#[doc = $doc])+ pub $field: $type,)+
                $($($(#[doc = $rest_doc])+ $visibility $rest: $rest_type,)+)?
            }

            impl Default for $group {
                fn default() -> Self {
                    Self {
                        $($field: $rule.read($default).expect("every default is allowed by its own rule"),)+
                        $($($rest: Default::default(),)+)?
                    }
                }
            }

            impl $group {
                fn of(root: &$root) -> &Self {
                    let group = root;
                    $(let group = &group.$part;)?
                    group
                }

                fn of_mut(root: &mut $root) -> &mut Self {
                    let group = root;
                    $(let group = &mut group.$part;)?
                    group
                }

                const SETTINGS: &[$crate::config::setting::Setting<$root>] = &[$(
                    $crate::config::setting::Setting {
                        field: stringify!($field),
                        env: $env,
                        default: $default,
                        doc: concat!($($doc),+),
                        about: || $rule.into(),
                        read: |root, text| match $rule.read(text) {
                            Some(value) => {
                                Self::of_mut(root).$field = value;
                                true
                            }
                            None => false,
                        },
                        show: |root| $rule.show(&Self::of(root).$field),
                    },
                )+];
            }
        )+

        /// The table: every setting, group by group.
        pub(super) const GROUPS: &[$crate::config::setting::Group<$root>] = &[$(
            $crate::config::setting::Group {
                name: concat!($(stringify!($part))?),
                doc: concat!($($about),+),
                settings: $group::SETTINGS,
            },
        )+];
    };
}
pub(super) use settings;
