//! What counts as an answer to an `ask`: `text`, `number`, `media` or a kind of it, `location`, `contact`, `form`,
//! `{regex: …}`, `{choice: […]}`, each with `or: […]` and, where it makes sense, `min` and `max`; a plain kind with these is
//! written `{type: text, max: 80}`.

use regex::RegexBuilder;

use super::Compiler;
use crate::domain::inbound::MediaKind;
use crate::domain::outbound::TEXT_BODY_MAX;
use crate::flow::definition::{Answer, Expect};
use crate::flow::fields::{self, Fields};
use crate::flow::words::{did_you_mean, normal};
use crate::flow::yaml::{Node, Yaml};

/// Bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Answers that can be chosen from.
const CHOICES_MAX: usize = 50;
const TYPES: [&str; 11] = [
    "text", "number", "media", "image", "video", "audio", "document", "sticker", "location", "contact",
    "form",
];

impl Compiler<'_> {
    pub(super) fn expect(&mut self, node: Option<&Node>) -> Option<Expect> {
        let anything = Answer::Text { min: 1, max: TEXT_BODY_MAX };
        let Some(node) = node else { return Some(Expect { answer: anything, or: Vec::new() }) };
        if !matches!(node.value, Yaml::Map(_)) {
            return Some(Expect { answer: self.answer_type(node)?, or: Vec::new() });
        }
        let mut fields = Fields::of(node, &node.at, "`expect`", &mut self.report)?;
        let answer = match fields.first_of(&["type", "regex", "choice"]) {
            Some("regex") => fields.take("regex").and_then(|node| self.pattern(node)),
            Some("choice") => fields.take("choice").and_then(|node| self.choice(node)),
            Some(_) => fields.take("type").and_then(|node| self.answer_type(node)),
            None => {
                fields.refuse_without(&["type", "regex", "choice"], &mut self.report);
                return None;
            }
        };
        let answer = answer.and_then(|answer| self.bounded(answer, &mut fields));
        let or = fields.take("or").map(|node| self.or_words(node)).unwrap_or_default();
        fields.finish(&mut self.report);
        Some(Expect { answer: answer?, or })
    }

    fn answer_type(&mut self, node: &Node) -> Option<Answer> {
        Some(match fields::scalar(node, "expect", &mut self.report)? {
            "text" => Answer::Text { min: 1, max: TEXT_BODY_MAX },
            "number" => Answer::Number { min: None, max: None },
            "media" => Answer::Media(None),
            "image" => Answer::Media(Some(MediaKind::Image)),
            "video" => Answer::Media(Some(MediaKind::Video)),
            "audio" => Answer::Media(Some(MediaKind::Audio)),
            "document" => Answer::Media(Some(MediaKind::Document)),
            "sticker" => Answer::Media(Some(MediaKind::Sticker)),
            "location" => Answer::Location,
            "contact" => Answer::Contact,
            "form" => Answer::Form,
            other => {
                let help = did_you_mean(other, TYPES).unwrap_or_else(|| {
                    format!("it may be {}, or a map with `regex` or `choice`", fields::listed(&TYPES))
                });
                self.report.error(&node.at, format!("`expect` cannot be `{other}`")).help(help);
                return None;
            }
        })
    }

    fn pattern(&mut self, node: &Node) -> Option<Answer> {
        let text = fields::scalar(node, "regex", &mut self.report)?;
        // Checked alone first, so that `a)(b` cannot slip out of the group below.
        let alone = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
        let whole = alone.and_then(|_| {
            RegexBuilder::new(&format!("^(?:{text})$"))
                .case_insensitive(true)
                .size_limit(PATTERN_BYTES_MAX)
                .build()
        });
        match whole {
            Ok(regex) => Some(Answer::Pattern(regex)),
            Err(error) => {
                let told = error.to_string();
                let reason = told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.report.error(&node.at, format!("`regex` is no regular expression: {reason}"));
                None
            }
        }
    }

    fn choice(&mut self, node: &Node) -> Option<Answer> {
        let mut choices: Vec<String> = Vec::new();
        let items = fields::items(node, "choice", &mut self.report);
        for item in items {
            let Some(choice) = fields::scalar(item, "choice", &mut self.report) else { continue };
            if choices.iter().any(|earlier| normal(earlier) == normal(choice)) {
                self.report.error(&item.at, format!("`choice` has `{choice}` twice"));
            } else {
                choices.push(choice.trim().to_owned());
            }
        }
        if choices.is_empty() || choices.len() > CHOICES_MAX {
            self.report.error(
                &node.at,
                format!("`choice` needs 1 to {CHOICES_MAX} answers, it has {}", choices.len()),
            );
            return None;
        }
        Some(Answer::Choice(choices))
    }

    fn bounded(&mut self, answer: Answer, fields: &mut Fields<'_>) -> Option<Answer> {
        match answer {
            Answer::Text { min, max } => {
                let least = fields
                    .take("min")
                    .map(|node| fields::number(node, "min", 0, TEXT_BODY_MAX, &mut self.report));
                let most = fields
                    .take("max")
                    .map(|node| fields::number(node, "max", 1, TEXT_BODY_MAX, &mut self.report));
                let (min, max) = (least.unwrap_or(Some(min))?, most.unwrap_or(Some(max))?);
                self.ordered(min <= max, fields).then_some(Answer::Text { min: min.max(1), max })
            }
            Answer::Number { .. } => {
                let min = fields.take("min").map(|node| self.bound(node, "min"));
                let max = fields.take("max").map(|node| self.bound(node, "max"));
                let (min, max) = (
                    min.map_or(Some(None), |min| min.map(Some))?,
                    max.map_or(Some(None), |max| max.map(Some))?,
                );
                let ordered = min.zip(max).is_none_or(|(min, max)| min <= max);
                self.ordered(ordered, fields).then_some(Answer::Number { min, max })
            }
            other => Some(other),
        }
    }

    fn bound(&mut self, node: &Node, what: &str) -> Option<f64> {
        let text = fields::scalar(node, what, &mut self.report)?;
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            self.report.error(&node.at, format!("`{what}` has to be a number, not `{text}`"));
        }
        number
    }

    fn ordered(&mut self, ordered: bool, fields: &Fields<'_>) -> bool {
        if !ordered {
            self.report.error(&fields.at, "`min` is greater than `max`: no answer could be right");
        }
        ordered
    }

    fn or_words(&mut self, node: &Node) -> Vec<String> {
        let items = fields::items(node, "or", &mut self.report);
        items.iter().filter_map(|item| fields::scalar(item, "or", &mut self.report)).map(normal).collect()
    }
}
