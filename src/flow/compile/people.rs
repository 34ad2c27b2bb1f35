//! `on_erase` and `on_export`: what of the business's own tables belongs to a person. They run outside of any conversation, so
//! they are plain statements with one parameter, `:person`, and no templates.

use super::Compiler;
use super::sql::{Outline, outline};
use crate::flow::definition::PERSON;
use crate::flow::fields;
use crate::flow::yaml::Node;

/// Statements in one of the lists.
const STATEMENTS_MAX: usize = 50;

impl Compiler<'_> {
    /// Statements that begin with one of `verbs`, each with the parameter `:person` and no other.
    pub(super) fn of_person(&mut self, node: Option<&Node>, what: &str, verbs: &[&str]) -> Vec<String> {
        let Some(node) = node else { return Vec::new() };
        let items = fields::items(node, what, &mut self.report);
        if items.len() > STATEMENTS_MAX {
            let message = format!("`{what}` has {} statements, {STATEMENTS_MAX} are allowed", items.len());
            self.report.error(&node.at, message);
        }
        items.iter().filter_map(|item| self.statement_of_person(item, what, verbs)).collect()
    }

    fn statement_of_person(&mut self, node: &Node, what: &str, verbs: &[&str]) -> Option<String> {
        let sql = fields::scalar(node, what, &mut self.report)?;
        let Outline { verb, params, second } = outline(sql);
        if !verbs.contains(&verb.as_str()) {
            self.report
                .error(&node.at, format!("a statement of `{what}` begins with `{verb}`"))
                .help(format!("it may begin with {}", fields::listed(verbs)));
        }
        if let Some(second) = second {
            let at = node.part(self.report.source(), sql, second..sql.len());
            self.report
                .error(&at, format!("an entry of `{what}` holds a second statement"))
                .help("make it an entry of its own");
        }
        for (name, place) in params.iter().filter(|(name, _)| name != PERSON) {
            let at = node.part(self.report.source(), sql, place.clone());
            self.report
                .error(&at, format!("`{what}` has no parameter `:{name}`"))
                .help(format!("the only one is `:{PERSON}`: an id under which the person is known"));
        }
        // Without it, it would be about everybody.
        if params.iter().all(|(name, _)| name != PERSON) {
            self.report
                .error(&node.at, format!("a statement of `{what}` does not say whose rows it means"))
                .help(format!("compare a column with `:{PERSON}`"));
        }
        Some(sql.trim().trim_end_matches(';').to_owned())
    }
}
