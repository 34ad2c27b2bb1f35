//! What is wrong with a flow file, told with file, line and a caret.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level as Mark, Renderer, Snippet};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The flow cannot be used.
    Error,
    /// The flow can be used, though probably not as meant.
    Warning,
}

/// One mistake at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub level: Level,
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line in characters, from 1.
    pub column: usize,
    /// What is wrong, naming the field.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The bytes of the source that the caret is under.
    pub span: Range<usize>,
}

/// All that is wrong with one file, in the order of the file. Shown, each problem is a snippet of the source with a
/// caret under the place.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Problems {
    origin: String,
    source: String,
    list: Vec<Problem>,
}

impl Problems {
    /// The problems, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.level == Level::Error)
    }

    /// The name of the file.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let renderer = Renderer::plain();
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            let mark = match problem.level {
                Level::Error => Mark::ERROR,
                Level::Warning => Mark::WARNING,
            };
            let snippet = Snippet::source(&*self.source)
                .path(&*self.origin)
                .annotation(AnnotationKind::Primary.span(problem.span.clone()));
            let mut report = vec![mark.primary_title(&*problem.message).element(snippet)];
            if let Some(help) = &problem.help {
                report.push(Group::with_title(Mark::HELP.secondary_title(&**help)));
            }
            f.write_str(&renderer.render(&report))?;
        }
        Ok(())
    }
}

/// Collects problems while a file is read.
pub(super) struct Report<'s> {
    source: &'s str,
    list: Vec<Problem>,
}

impl<'s> Report<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, list: Vec::new() }
    }

    pub(super) fn error(&mut self, at: &Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.add(Level::Error, at, message.into())
    }

    pub(super) fn warn(&mut self, at: &Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.add(Level::Warning, at, message.into())
    }

    fn add(&mut self, level: Level, at: &Range<usize>, message: String) -> &mut Problem {
        let span = on_one_line(self.source, at);
        let before = self.source.get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let problem = Problem {
            level,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
            help: None,
            span,
        };
        let place = self.list.len();
        self.list.push(problem);
        &mut self.list[place]
    }

    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.level == Level::Error)
    }

    pub(super) fn source(&self) -> &'s str {
        self.source
    }

    pub(super) fn into_problems(mut self, origin: &str) -> Problems {
        self.list.sort_by_key(|problem| (problem.span.start, problem.level));
        self.list.dedup();
        Problems { origin: origin.to_owned(), source: self.source.to_owned(), list: self.list }
    }
}

impl Problem {
    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }
}

/// The part of a span on its first line, so that the caret points at a place and not at a page.
fn on_one_line(source: &str, at: &Range<usize>) -> Range<usize> {
    let start = floor_boundary(source, at.start);
    let end = floor_boundary(source, at.end.max(start));
    let line_end = source[start..].find('\n').map_or(source.len(), |newline| start + newline);
    start..end.min(line_end)
}

fn floor_boundary(source: &str, at: usize) -> usize {
    (0..=at.min(source.len())).rev().find(|place| source.is_char_boundary(*place)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_with_file_line_caret_and_help() {
        let source = "bot: factory\nstart: mian\n";
        let mut report = Report::new(source);
        report.error(&(20..24), "`start` leads to `mian`, which is no state").help("did you mean `main`?");
        report.warn(&(0..3), "early");
        let problems = report.into_problems("bot.yaml");
        assert_eq!(problems.iter().map(|p| (p.line, p.column)).collect::<Vec<_>>(), [(1, 1), (2, 8)]);
        let shown = problems.to_string();
        assert!(
            shown.contains("bot.yaml:2:8") && shown.contains("^^^^") && shown.contains("did you mean"),
            "{shown}"
        );
        assert!(problems.has_errors());
    }

    #[test]
    fn a_span_ends_with_its_line_and_at_whole_characters() {
        assert_eq!(on_one_line("ab\ncd\nef", &(3..8)), 3..5);
        assert_eq!(on_one_line("é", &(1..9)), 0..2);
    }
}
