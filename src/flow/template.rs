//! Templates and expressions: minijinja with our delimiters and limits. The one place that compiles and runs them.
//!
//! `${ expression }` prints, `{% if … %}` decides, `{# … #}` is not said. Nothing is escaped: WhatsApp is not HTML.
//! `true`, `false` and nothing print as `true`, `false` and nothing; lists and maps print as JSON.

use std::ops::Range;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use regex::Regex;

use super::functions::{Functions, json};

/// Instructions that one template or expression may take.
const FUEL: u64 = 50_000;

/// A compiled template, by its name in the [`Engine`].
#[derive(Debug, Clone)]
pub(super) struct Template(String);

/// An expression that was found well formed.
#[derive(Debug, Clone)]
pub(super) struct Expression(String);

/// What is wrong with a template or expression, and where in its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) at: Range<usize>,
}

/// A name that a text looks up, and where it does so first. Attributes come with it: `contact.name`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) name: String,
    pub(super) at: Range<usize>,
}

/// All templates of a flow, and what they can call.
#[derive(Debug)]
pub(super) struct Engine(Environment<'static>);

impl Engine {
    pub(super) fn new(functions: &Functions) -> Self {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .variable_delimiters("${", "}")
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .expect("the delimiters differ");
        environment.set_syntax(syntax);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_debug(false);
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::None => Ok(()),
            ValueKind::Bool => {
                out.write_str(if value.is_true() { "true" } else { "false" }).map_err(Error::from)
            }
            ValueKind::Seq | ValueKind::Map => out.write_str(&json(value)?.to_string()).map_err(Error::from),
            _ => minijinja::escape_formatter(out, state, value),
        });
        functions.install(&mut environment);
        Self(environment)
    }

    /// Compiles a template under a name that has to be unique in the flow.
    pub(super) fn add(&mut self, name: &str, source: &str) -> Result<Template, Mistake> {
        self.0.add_template_owned(name.to_owned(), source.to_owned()).map_err(|error| mistake(&error))?;
        self.check_callables(source, &code_in(source)).map(|()| Template(name.to_owned()))
    }

    /// Checks an expression.
    pub(super) fn expression(&self, source: &str) -> Result<Expression, Mistake> {
        self.0.compile_expression(source).map_err(|error| mistake(&error))?;
        self.check_callables(source, &whole(source)).map(|()| Expression(source.to_owned()))
    }

    /// The names that a template looks up.
    pub(super) fn uses(&self, template: &Template) -> Vec<Use> {
        self.0.get_template(&template.0).map_or_else(
            |_| Vec::new(),
            |compiled| {
                self.located(
                    compiled.undeclared_variables(true),
                    compiled.source(),
                    &code_in(compiled.source()),
                )
            },
        )
    }

    /// The names that an expression looks up.
    pub(super) fn uses_of_expression(&self, expression: &Expression) -> Vec<Use> {
        let source = expression.0.as_str();
        self.0.compile_expression(source).map_or_else(
            |_| Vec::new(),
            |compiled| self.located(compiled.undeclared_variables(true), source, &whole(source)),
        )
    }

    /// Whether a name is a function that templates can call.
    pub(super) fn has_function(&self, name: &str) -> bool {
        self.0.globals().any(|(global, _)| global == name)
    }

    /// The text of a template, without blanks at its ends.
    ///
    /// # Errors
    /// In words for the operator: a name that is not there, a wrong type, or a budget that is used up.
    pub(super) fn render(&self, template: &Template, scope: &Value) -> Result<String, String> {
        let text = self.0.get_template(&template.0).and_then(|compiled| compiled.render(scope.clone()));
        text.map(|text| text.trim().to_owned()).map_err(|error| error.to_string())
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// As [`Engine::render`]; a value that is undefined is an error too.
    pub(super) fn evaluate(
        &self,
        expression: &Expression,
        scope: &Value,
    ) -> Result<serde_json::Value, String> {
        let value = self.value(expression, scope)?;
        if value.is_undefined() {
            return Err(format!("`{}` is undefined", expression.0));
        }
        json(&value).map_err(|error| error.to_string())
    }

    /// Whether a condition holds. What is undefined does not hold.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub(super) fn holds(&self, expression: &Expression, scope: &Value) -> Result<bool, String> {
        self.value(expression, scope).map(|value| value.is_true())
    }

    fn value(&self, expression: &Expression, scope: &Value) -> Result<Value, String> {
        if let Some(value) = named(&expression.0, scope) {
            return Ok(value);
        }
        let value =
            self.0.compile_expression(&expression.0).and_then(|compiled| compiled.eval(scope.clone()));
        value.map_err(|error| format!("`{}`: {error}", expression.0))
    }

    /// Filters and tests are looked up only when a template runs; a misspelt one is found here.
    fn check_callables(&self, source: &str, code: &[Range<usize>]) -> Result<(), Mistake> {
        static FILTER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\|\s*([A-Za-z_]\w*)"));
        static TEST: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bis\s+(?:not\s+)?([A-Za-z_]\w*)"));
        let mut state = self.0.empty_state();
        for part in code {
            let text = without_strings(&source[part.clone()]);
            for (regex, kind) in [(&*FILTER, ErrorKind::UnknownFilter), (&*TEST, ErrorKind::UnknownTest)] {
                for found in regex.captures_iter(&text).filter_map(|captures| captures.get(1)) {
                    let name = found.as_str();
                    let (error, noun) = if kind == ErrorKind::UnknownFilter {
                        (state.apply_filter(name, &[]).err(), "filter")
                    } else {
                        (state.perform_test(name, &[]).err(), "test")
                    };
                    if error.is_some_and(|error| error.kind() == kind) {
                        let at = part.start + found.start()..part.start + found.end();
                        return Err(Mistake { message: format!("there is no {noun} `{name}`"), at });
                    }
                }
            }
        }
        Ok(())
    }

    fn located(
        &self,
        names: impl IntoIterator<Item = String>,
        source: &str,
        code: &[Range<usize>],
    ) -> Vec<Use> {
        let mut uses: Vec<Use> = names
            .into_iter()
            .map(|name| Use { at: place_of(&name, source, code).unwrap_or(0..source.len()), name })
            .collect();
        uses.sort_by(|a, b| a.name.cmp(&b.name));
        uses
    }
}

/// The value of an expression that is nothing but a name and its attributes, where all of them are there: most expressions
/// are, and need no compiling.
fn named(expression: &str, scope: &Value) -> Option<Value> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut names = expression.trim().split('.');
    names.clone().all(is_name).then_some(())?;
    names.try_fold(scope.clone(), |value, name| {
        value.get_attr(name).ok().filter(|attribute| !attribute.is_undefined())
    })
}

/// Whether a text holds template code.
pub(super) fn has_code(text: &str) -> bool {
    ["${", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// The expression of a text that is nothing but one `${ … }`.
pub(super) fn lone_expression(text: &str) -> Option<&str> {
    let text = text.trim();
    code_in(text).first().filter(|code| code.len() == text.len())?;
    text.strip_prefix("${")?.strip_suffix('}')
}

fn mistake(error: &Error) -> Mistake {
    let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Mistake { message, at: error.range().unwrap_or_default() }
}

/// An expression is code as a whole.
fn whole(expression: &str) -> [Range<usize>; 1] {
    std::array::from_fn(|_| 0..expression.len())
}

fn pattern(regex: &str) -> Regex {
    Regex::new(regex).expect("a constant pattern")
}

/// The parts of a template that are code: what is between `${ }` and `{% %}`.
fn code_in(source: &str) -> Vec<Range<usize>> {
    static CODE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"\$\{(?:'[^']*'|"[^"]*"|[^}'"])*\}|(?s:\{%.*?%\})"#));
    CODE.find_iter(source).map(|found| found.range()).collect()
}

/// The same text with what is in quotes blanked, so that offsets stay.
fn without_strings(code: &str) -> String {
    static STRING: LazyLock<Regex> = LazyLock::new(|| pattern(r#"'[^']*'|"[^"]*""#));
    STRING.replace_all(code, |found: &regex::Captures<'_>| " ".repeat(found[0].len())).into_owned()
}

/// Where a name stands first as a whole word in code.
fn place_of(name: &str, source: &str, code: &[Range<usize>]) -> Option<Range<usize>> {
    let word = Regex::new(&format!(r"\b{}\b", regex::escape(name))).ok()?;
    code.iter().find_map(|part| {
        let text = without_strings(&source[part.clone()]);
        word.find(&text).map(|found| part.start + found.start()..part.start + found.end())
    })
}

#[cfg(test)]
mod tests {
    use minijinja::context;
    use serde_json::json;

    use super::*;

    fn engine() -> Engine {
        Engine::new(&Functions::default())
    }

    fn rendered(source: &str, scope: Value) -> Result<String, String> {
        let mut engine = engine();
        let template = engine.add("t", source).map_err(|mistake| mistake.message)?;
        engine.render(&template, &scope)
    }

    #[test]
    fn nothing_and_truth_print_as_people_write_them() {
        let scope = context! { no => false, yes => true, nothing => (), list => vec![true] };
        assert_eq!(
            rendered("${ no } ${ yes } [${ nothing }] ${ list }", scope).unwrap(),
            "false true [] [true]"
        );
    }

    #[test]
    fn a_loop_over_rows_makes_lines_without_blank_ones() {
        let source = "Rows:\n{% for row in rows %}\n• ${ row.n }\n{% endfor %}\nDone";
        let scope = context! { rows => vec![context! { n => 1 }, context! { n => 2 }] };
        assert_eq!(rendered(source, scope).unwrap(), "Rows:\n• 1\n• 2\nDone");
    }

    #[test]
    fn dates_are_written_from_days_times_and_formats() {
        let scope = context! { day => "2026-03-12", at => 1_773_273_600_000_i64, none => () };
        let source = "${ day | date } ${ at | date } ${ day | date('%d.%m.%Y') } [${ none | date }]";
        assert_eq!(rendered(source, scope).unwrap(), "12 Mar 2026 12 Mar 2026 12.03.2026 []");
        assert!(rendered("${ 'soon' | date }", context! {}).unwrap_err().contains("no date"));
    }

    #[test]
    fn a_text_is_truncated_with_an_ellipsis() {
        let scope = context! { text => "ünüsual words" };
        assert_eq!(
            rendered("${ text | truncate(9) } ${ text | truncate(13) }", scope).unwrap(),
            "ünüsual… ünüsual words"
        );
    }

    #[test]
    fn a_name_has_the_value_that_it_has_as_an_expression() {
        let engine = engine();
        let scope = context! { order => context! { no => 7 }, none_yet => () };
        for source in ["order", "order.no", "none_yet", " order . no", "none", "true", "range"] {
            let expression = engine.expression(source).unwrap();
            let compiled = engine.0.compile_expression(source).unwrap().eval(scope.clone()).unwrap();
            assert_eq!(
                engine.value(&expression, &scope).unwrap().to_string(),
                compiled.to_string(),
                "{source}"
            );
        }
        let missing = engine.expression("order.size").unwrap();
        assert!(engine.evaluate(&missing, &scope).unwrap_err().contains("`order.size` is undefined"));
    }

    #[test]
    fn an_endless_template_uses_up_its_budget() {
        let source = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(rendered(source, context! {}).unwrap_err().contains("fuel"));
    }

    #[test]
    fn a_misspelt_filter_or_test_is_found_without_running() {
        let wrong = |source: &str| engine().add("t", source).unwrap_err();
        assert_eq!(
            wrong("a ${ x | uper }"),
            Mistake { message: "there is no filter `uper`".into(), at: 9..13 }
        );
        assert_eq!(wrong("{% if x is nothing %}{% endif %}").message, "there is no test `nothing`");
        assert!(engine().add("t", "either | or, ${ '| nope' | upper } is nothing").is_ok());
    }

    #[test]
    fn a_text_that_is_one_expression_is_told_from_one_that_holds_it() {
        assert_eq!(lone_expression(" ${ rows | length } "), Some(" rows | length "));
        assert_eq!(lone_expression("${ '}' }"), Some(" '}' "));
        for other in ["x ${ a }", "${ a }${ b }", "{% if a %}", "a", "{# a #}"] {
            assert_eq!(lone_expression(other), None, "{other}");
        }
    }

    #[test]
    fn uses_are_found_with_their_attributes_and_places() {
        let mut engine = engine();
        let template =
            engine.add("t", "name ${ 'name' } ${ name.x } {% for r in rows %}${ r }{% endfor %}").unwrap();
        let uses = engine.uses(&template);
        assert_eq!(uses.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["name.x", "rows"]);
        assert_eq!(uses[0].at, 20..26);
    }

    #[test]
    fn a_rust_function_is_called_with_json_and_its_error_is_told() {
        let mut functions = Functions::default();
        functions.add("twice", |arguments| match arguments.first().and_then(serde_json::Value::as_i64) {
            Some(number) => Ok(json!(number * 2)),
            None => Err("`twice` wants a number".into()),
        });
        let engine = Engine::new(&functions);
        let good = engine.expression("twice(21)").unwrap();
        assert_eq!(engine.evaluate(&good, &context! {}), Ok(json!(42)));
        let bad = engine.expression("twice('x')").unwrap();
        assert!(engine.evaluate(&bad, &context! {}).unwrap_err().contains("wants a number"));
    }
}
