//! Menus: their options, the words that choose them, and what Meta's limits make of them.

use std::collections::BTreeMap;

use super::states::optional;
use super::{Compiler, Way};
use crate::domain::outbound::{
    BUTTON_TITLE_MAX, INTERACTIVE_BODY_MAX, LIST_ROWS_MAX, ROW_DESCRIPTION_MAX, ROW_TITLE_MAX,
};
use crate::flow::definition::{Menu, MenuOption};
use crate::flow::fields::{self, Fields};
use crate::flow::template::has_code;
use crate::flow::words::normal;
use crate::flow::yaml::{Node, Span, Yaml};

/// Options of a menu; beyond Meta's ten they are numbered text.
const OPTIONS_MAX: usize = 50;
/// What the button that opens a list says when the file does not say.
const BUTTON_DEFAULT: &str = "Choose";

impl Compiler<'_> {
    pub(super) fn button(&mut self, fields: &mut Fields<'_>) -> Option<String> {
        let Some(node) = fields.take("button") else { return Some(BUTTON_DEFAULT.to_owned()) };
        let button = fields::scalar(node, "button", &mut self.report)?;
        self.no_longer_than(button, &node.at, "button", BUTTON_TITLE_MAX).then(|| button.to_owned())
    }

    /// Meta's limit of a text that is fixed in the file.
    pub(super) fn no_longer_than(&mut self, text: &str, at: &Span, what: &str, limit: usize) -> bool {
        let length = text.chars().count();
        if length > limit {
            self.report
                .error(at, format!("`{what}` has {length} characters, WhatsApp allows {limit}"))
                .help("shorten it");
        }
        length <= limit
    }

    pub(super) fn menu(&mut self, fields: &mut Fields<'_>) -> Option<Menu> {
        let body_node = fields.need("menu", &mut self.report);
        let body = body_node.and_then(|node| self.template(node, "menu"));
        let margins = self.margins(fields);
        let manner = self.manner(fields);
        let button = self.button(fields);
        let options = fields.need("options", &mut self.report);
        let options = options.and_then(|node| self.options(node));
        let save = fields.take("save").map(|node| self.variable(node, "save"));
        let timeout = fields.take("timeout").map(|node| self.timeout(node));
        if let Some(node) = body_node
            && let Yaml::Scalar(text) = &node.value
            && !has_code(text)
            && text.trim().chars().count() > INTERACTIVE_BODY_MAX
        {
            let message =
                format!("the text is longer than {INTERACTIVE_BODY_MAX} characters: sent as numbered text");
            self.report.warn(&node.at, message).help("say the long part in a `say` before the menu");
        }
        Some(Menu {
            body: body?,
            margins: margins?,
            manner: manner?,
            button: button?,
            options: options?,
            save: optional(save)?,
            timeout: optional(timeout)?,
        })
    }

    fn options(&mut self, node: &Node) -> Option<Vec<MenuOption>> {
        let items = fields::items(node, "options", &mut self.report);
        if items.is_empty() || items.len() > OPTIONS_MAX {
            self.report.error(
                &node.at,
                format!("`options` needs 1 to {OPTIONS_MAX} entries, it has {}", items.len()),
            );
            return None;
        }
        if items.len() > LIST_ROWS_MAX {
            let message = format!(
                "a WhatsApp list has at most {LIST_ROWS_MAX} rows, here are {}: sent as numbered text",
                items.len()
            );
            self.report.warn(&node.at, message).help("split the menu in two to get a list");
        }
        let mut taken = BTreeMap::new();
        let options: Vec<Option<MenuOption>> = items
            .iter()
            .enumerate()
            .map(|(place, item)| self.option(item, place + 1, items.len(), &mut taken))
            .collect();
        options.into_iter().collect()
    }

    fn option(
        &mut self,
        node: &Node,
        number: usize,
        count: usize,
        taken: &mut BTreeMap<String, usize>,
    ) -> Option<MenuOption> {
        let mut fields = Fields::of(node, &node.at, format!("option {number}"), &mut self.report)?;
        let label_node = fields.need("label", &mut self.report);
        let label = label_node.and_then(|node| fields::scalar(node, "label", &mut self.report));
        let go = self.go(&mut fields, "go", Way::Later);
        let keys = fields.take("keys");
        let description_node = fields.take("description");
        fields.finish(&mut self.report);
        let mut words = Vec::new();
        if let (Some(node), Some(label)) = (label_node, label) {
            if has_code(label) {
                self.report.error(&node.at, "a `label` is a fixed text: it is also what people type");
            } else if label.chars().count() > ROW_TITLE_MAX {
                let message = format!(
                    "the label is longer than {ROW_TITLE_MAX} characters: the menu is sent as numbered text"
                );
                self.report.warn(&node.at, message).help("shorten it, and say more in `description`");
            }
            self.word(label, node, number, count, taken, &mut words);
        }
        for key in keys.map(|keys| fields::items(keys, "keys", &mut self.report)).unwrap_or_default() {
            if let Some(text) = fields::scalar(key, "keys", &mut self.report) {
                self.word(text, key, number, count, taken, &mut words);
            }
        }
        let mut description = None;
        if let Some(node) = description_node {
            let text = fields::scalar(node, "description", &mut self.report)?.trim().to_owned();
            self.no_longer_than(&text, &node.at, "description", ROW_DESCRIPTION_MAX);
            description = Some(text);
        }
        Some(MenuOption { label: label?.trim().to_owned(), description, words, go: go? })
    }

    /// A word by which an option is chosen; it has to lead to one option only.
    fn word(
        &mut self,
        text: &str,
        node: &Node,
        number: usize,
        count: usize,
        taken: &mut BTreeMap<String, usize>,
        words: &mut Vec<String>,
    ) {
        let word = normal(text);
        let as_number = word.parse::<usize>().ok().filter(|at| (1..=count).contains(at) && *at != number);
        if let Some(other) = as_number {
            let message =
                format!("`{word}` is the number of option {other} and cannot choose option {number} too");
            self.report.error(&node.at, message);
        } else if let Some(other) = taken.insert(word.clone(), number).filter(|other| *other != number) {
            let message = format!("`{word}` chooses option {other} and option {number}");
            self.report
                .error(&node.at, message)
                .help("each label and key leads to one option; capitals do not count");
        } else if !words.contains(&word) {
            words.push(word);
        }
    }
}
