//! JSON with templates in it: a message as the file writes it, to be filled in when it is said.

use minijinja::value::Value as Scope;
use serde_json::{Map, Value};

use super::template::{Engine, Expression, Template};

/// A part of a message.
#[derive(Debug)]
pub(super) enum Shape {
    /// As it stands in the file.
    Fixed(String),
    /// A text that is rendered.
    Text(Template),
    /// A value that keeps its kind: a number, a list, a map.
    Value(Expression),
    List(Vec<Shape>),
    Map(Vec<(String, Shape)>),
}

impl Shape {
    /// The JSON that it comes to. A field whose template comes to nothing is left out.
    ///
    /// # Errors
    /// In words for the operator: a name that is not there, a wrong type, or a budget that is used up.
    pub(super) fn fill(&self, engine: &Engine, scope: &Scope) -> Result<Value, String> {
        Ok(match self {
            Self::Fixed(text) => Value::from(text.as_str()),
            Self::Text(template) => Value::from(engine.render(template, scope)?),
            Self::Value(expression) => engine.evaluate(expression, scope)?,
            Self::List(items) => {
                items.iter().map(|item| item.fill(engine, scope)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Self::Map(entries) => {
                let mut map = Map::new();
                for (name, shape) in entries {
                    let value = shape.fill(engine, scope)?;
                    if !matches!((shape, value.as_str()), (Self::Text(_), Some(""))) {
                        map.insert(name.clone(), value);
                    }
                }
                map.into()
            }
        })
    }
}
