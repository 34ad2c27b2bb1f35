//! The step: one input moves a conversation from where it stands to where it rests again.
//!
//! Pure and bounded: the same flow, snapshot, input and context give the same result, nothing is changed in place, and a
//! turn visits at most [`HOPS_MAX`] states. What goes wrong on the way (a template without its variable, a budget used
//! up) becomes an [`Effect::Trouble`], an apology, and the start of the flow.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Flow;
use super::answer::{Meaning, expectation, meaning};
use super::definition::{Answer, Ask, Call, Connector, Definition, Manner, State, StateName};
use super::prompt::Offer;
use super::scope::event;
use super::speak::Prompt;
use super::transition::{CallResult, Context, Effect, Input, PendingCall, Snapshot, Step, Transition};
use crate::domain::contact::Identity;
use crate::domain::inbound::InboundMessage;

/// States that one turn may visit.
pub const HOPS_MAX: usize = 64;
/// Bytes of JSON that one variable may hold.
pub const VARIABLE_BYTES_MAX: usize = 16 * 1024;
/// Said when the flow itself fails.
const APOLOGY: &str = "Sorry, something went wrong on our side. Let's start again.";
/// Said when a call fails and the flow does not say what then.
const CALL_APOLOGY: &str = "Sorry, that did not work just now. Please try again a little later.";

/// What a turn has done so far; owned, so that it can wait for a connector.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) snapshot: Snapshot,
    pub(super) effects: Vec<Effect>,
    pub(super) event: Arc<Value>,
    hops: usize,
    /// The flow failed once already in this turn.
    troubled: bool,
    /// Silence began the turn. It sets no timer: the bot does not go on talking to someone who is not there.
    silent: bool,
}

/// Moves a conversation.
///
/// A person who is with a colleague gets no answer: until [`Input::Released`], no input has an effect.
#[must_use]
pub fn step(flow: &Flow, snapshot: &Snapshot, input: &Input<'_>, context: &Context<'_>) -> Step {
    let message = if let Input::Message(message) = input { Some(*message) } else { None };
    let progress = Progress {
        snapshot: snapshot.clone(),
        effects: Vec::new(),
        event: Arc::new(event(message)),
        hops: 0,
        troubled: false,
        silent: message.is_none(),
    };
    let mut turn = Turn::new(flow, context, progress);
    match input {
        Input::Released => {
            turn.progress.snapshot.handed_off = false;
            turn.rested()
        }
        _ if snapshot.handed_off => turn.rested(),
        Input::Timeout => turn.silence(),
        Input::Message(message) => turn.message(message),
    }
}

impl PendingCall {
    /// Goes on with the answer of the connector. `flow` is the flow that the turn began with.
    #[must_use]
    pub fn resume(self, flow: &Flow, context: &Context<'_>, result: CallResult) -> Step {
        let mut turn = Turn::new(flow, context, self.progress);
        let next = match flow.definition.states.get(&self.state) {
            Some(State::Call(call)) => turn.called(call, &self.connector, result),
            _ => Err(format!("the flow has no call `{}`", self.state)),
        };
        turn.run(next)
    }
}

/// What a state did on arrival.
enum Arrival {
    Go(StateName),
    Rest,
    Call(Request),
}

/// A call that a state makes.
struct Request {
    state: StateName,
    name: String,
    connector: Connector,
    params: BTreeMap<String, Value>,
}

pub(super) struct Turn<'a> {
    pub(super) flow: &'a Flow,
    pub(super) context: &'a Context<'a>,
    pub(super) person: Arc<Identity>,
    pub(super) phone_number_id: Arc<str>,
    pub(super) progress: Progress,
}

impl<'a> Turn<'a> {
    fn new(flow: &'a Flow, context: &'a Context<'a>, progress: Progress) -> Self {
        let person = Arc::new(context.contact.clone());
        Self { flow, context, person, phone_number_id: context.phone_number_id.into(), progress }
    }

    fn definition(&self) -> &'a Definition {
        &self.flow.definition
    }

    /// Where the person stands.
    fn current(&self) -> Option<(&'a str, &'a State)> {
        let name = self.progress.snapshot.state.as_ref()?;
        self.definition().states.get_key_value(name).map(|(name, state)| (name.as_str(), state))
    }

    fn silence(mut self) -> Step {
        let (own, manner) = match self.current() {
            Some((_, State::Menu(menu))) => (&menu.timeout, &menu.manner),
            Some((_, State::Ask(ask))) => (&ask.timeout, &ask.manner),
            _ => return self.rested(),
        };
        let Some(timeout) = own.as_ref().or(self.definition().timeout.as_ref()) else {
            return self.rested();
        };
        let said = timeout.say.as_ref().map_or(Ok(()), |say| self.say(say, manner));
        self.progress.snapshot.misses = 0;
        self.run(said.map(|()| timeout.go.clone()))
    }

    fn message(mut self, message: &InboundMessage) -> Step {
        let current = self.current();
        let definition = self.definition();
        let next = match meaning(definition, current, &message.content) {
            Meaning::Option { state, place } => self.chose(state, place),
            Meaning::Global { to } => Ok(to.to_owned()),
            Meaning::Answer { state, value, chosen } => self.answered(state, value, chosen),
            Meaning::Invalid | Meaning::Unknown => match current {
                Some((state, State::Menu(menu))) => return self.missed(state, None, &menu.manner),
                Some((state, State::Ask(ask))) => return self.missed(state, Some(ask), &ask.manner),
                Some((_, State::Handoff(handoff))) => Ok(handoff.go.clone()),
                _ => {
                    self.progress.snapshot = Snapshot::default();
                    Ok(definition.start.clone())
                }
            },
        };
        self.progress.snapshot.misses = 0;
        self.run(next)
    }

    fn chose(&mut self, state: &str, place: usize) -> Result<StateName, String> {
        let Some(State::Menu(menu)) = self.definition().states.get(state) else {
            return Err(format!("`{state}` is no menu"));
        };
        let option =
            menu.options.get(place).ok_or_else(|| format!("`{state}` has no option {}", place + 1))?;
        self.progress.effects.push(Effect::Chose { state: state.to_owned(), option: option.label.clone() });
        if let Some(variable) = &menu.save {
            self.save(variable, Value::from(option.label.as_str()))?;
        }
        Ok(option.go.clone())
    }

    fn answered(&mut self, state: &str, value: Value, chosen: Option<&str>) -> Result<StateName, String> {
        let Some(State::Ask(ask)) = self.definition().states.get(state) else {
            return Err(format!("`{state}` asks nothing"));
        };
        if let Some(option) = chosen {
            self.progress.effects.push(Effect::Chose { state: state.to_owned(), option: option.to_owned() });
        }
        self.save(&ask.save, value)?;
        Ok(ask.go.clone())
    }

    /// A hint and the prompt again, or after too many misses in a row the way out.
    fn missed(mut self, state: &str, ask: Option<&Ask>, manner: &Manner) -> Step {
        let fallback = &self.definition().fallback;
        let hint = match ask {
            Some(Ask { invalid: Some(invalid), .. }) => self.render(invalid),
            Some(ask) => Ok(expectation(&ask.expect)),
            None => self.render(&fallback.say),
        };
        let misses = self.progress.snapshot.misses.saturating_add(1);
        let enough = misses >= fallback.retries;
        self.progress.snapshot.misses = if enough { 0 } else { misses };
        let next = if enough { fallback.then.as_str() } else { state };
        let next = hint.map(|hint| {
            self.say_words(&hint, manner);
            next.to_owned()
        });
        self.run(next)
    }

    /// Visits states until one rests or calls.
    fn run(mut self, mut next: Result<StateName, String>) -> Step {
        loop {
            let arrived = next.and_then(|state| {
                self.progress.hops += 1;
                if self.progress.hops > HOPS_MAX {
                    return Err(format!("more than {HOPS_MAX} states in one turn"));
                }
                self.arrive(&state).map_err(|trouble| format!("state `{state}`: {trouble}"))
            });
            next = match arrived {
                Ok(Arrival::Go(state)) => Ok(state),
                Ok(Arrival::Rest) => return self.done(),
                Ok(Arrival::Call(Request { state, name, connector, params })) => {
                    return Step::Call(PendingCall {
                        state,
                        name,
                        connector,
                        params,
                        progress: self.progress,
                    });
                }
                Err(trouble) => {
                    self.progress.effects.push(Effect::Trouble(trouble));
                    self.progress.snapshot = Snapshot::default();
                    if self.progress.troubled {
                        return self.done();
                    }
                    self.progress.troubled = true;
                    self.progress.hops = 0;
                    self.say_words(APOLOGY, &Manner::default());
                    Ok(self.definition().start.clone())
                }
            };
        }
    }

    fn arrive(&mut self, name: &str) -> Result<Arrival, String> {
        let (name, state) = self
            .definition()
            .states
            .get_key_value(name)
            .ok_or_else(|| "the flow has no such state".to_owned())?;
        match state {
            State::Menu(menu) => {
                let offers: Vec<Offer<'_>> = menu.options.iter().map(Offer::from).collect();
                let prompt = Prompt {
                    body: &menu.body,
                    margins: &menu.margins,
                    manner: &menu.manner,
                    button: &menu.button,
                    request: None,
                };
                self.prompt(name, &prompt, &offers, String::new)?;
                Ok(self.rest(name, state))
            }
            State::Ask(ask) => {
                let choices =
                    if let Answer::Choice(choices) = &ask.expect.answer { choices.as_slice() } else { &[] };
                let offers: Vec<Offer<'_>> = choices.iter().map(Offer::from).collect();
                let prompt = Prompt {
                    body: &ask.body,
                    margins: &ask.margins,
                    manner: &ask.manner,
                    button: &ask.button,
                    request: ask.request.as_ref(),
                };
                self.prompt(name, &prompt, &offers, || expectation(&ask.expect))?;
                Ok(self.rest(name, state))
            }
            State::Say(say) => {
                for (variable, expression) in &say.set {
                    let value = self.flow.engine.evaluate(expression, &self.scope())?;
                    self.save(variable, value)?;
                }
                self.say_all(say)?;
                Ok(Arrival::Go(say.go.clone()))
            }
            State::Call(call) => self.call(name, call),
            State::Branch(branch) => {
                let scope = self.scope();
                for (when, go) in &branch.cases {
                    if self.flow.engine.holds(when, &scope)? {
                        return Ok(Arrival::Go(go.clone()));
                    }
                }
                Ok(Arrival::Go(branch.otherwise.clone()))
            }
            State::Handoff(handoff) => {
                self.say(&handoff.say, &handoff.manner)?;
                self.progress.effects.push(Effect::HandOff { for_ms: handoff.for_ms });
                self.progress.snapshot.state = Some(name.clone());
                self.progress.snapshot.handed_off = true;
                Ok(Arrival::Rest)
            }
            State::End(end) => {
                self.say(&end.say, &end.manner)?;
                self.progress.snapshot = Snapshot::default();
                Ok(Arrival::Rest)
            }
        }
    }

    /// Waits for the person here.
    fn rest(&mut self, name: &str, state: &State) -> Arrival {
        self.progress.snapshot.state = Some(name.to_owned());
        let timeout = state.timeout().or(self.definition().timeout.as_ref());
        if let Some(timeout) = timeout.filter(|_| !self.progress.silent) {
            self.progress.effects.push(Effect::Timeout { after_ms: timeout.after_ms });
        }
        Arrival::Rest
    }

    fn call(&self, name: &str, call: &Call) -> Result<Arrival, String> {
        let declared = self
            .definition()
            .connectors
            .get(&call.connector)
            .ok_or_else(|| format!("the flow has no connector `{}`", call.connector))?;
        let scope = self.scope();
        let params = declared
            .params
            .iter()
            .map(|(param, expression)| Ok((param.clone(), self.flow.engine.evaluate(expression, &scope)?)))
            .collect::<Result<_, String>>()?;
        Ok(Arrival::Call(Request {
            state: name.to_owned(),
            name: call.connector.clone(),
            connector: declared.connector.clone(),
            params,
        }))
    }

    /// Where a call leads with this result.
    fn called(
        &mut self,
        call: &Call,
        connector: &Connector,
        result: CallResult,
    ) -> Result<StateName, String> {
        let (value, is_empty) = match result {
            CallResult::Rows(mut rows) => {
                if let Connector::Query { rows_max, .. } = connector {
                    rows.truncate(*rows_max);
                }
                let is_empty = rows.is_empty();
                let mut rows = rows.into_iter().map(Value::Object);
                let value = if call.first { rows.next().unwrap_or_default() } else { rows.collect() };
                (value, is_empty)
            }
            CallResult::Value(Value::Array(mut entries)) if call.first => {
                let is_empty = entries.is_empty();
                (if is_empty { Value::Null } else { entries.swap_remove(0) }, is_empty)
            }
            CallResult::Value(value) => {
                let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                (value, is_empty)
            }
            CallResult::Written => (Value::Null, false),
            CallResult::Failed(_) => {
                return Ok(call.error.clone().unwrap_or_else(|| {
                    self.say_words(CALL_APOLOGY, &Manner::default());
                    self.definition().fallback.then.clone()
                }));
            }
        };
        if let Some(variable) = &call.save {
            self.save(variable, value)?;
        }
        Ok(if is_empty { call.empty.clone() } else { call.ok.clone() })
    }

    fn save(&mut self, variable: &str, value: Value) -> Result<(), String> {
        let bytes = value.to_string().len();
        if bytes > VARIABLE_BYTES_MAX {
            return Err(format!("`{variable}` would hold {bytes} bytes, {VARIABLE_BYTES_MAX} are allowed"));
        }
        self.progress.snapshot.vars.insert(variable.to_owned(), value);
        Ok(())
    }

    /// The end of a turn in which the flow attended to the person.
    fn done(mut self) -> Step {
        if let Some(receipt) = self.receipt() {
            self.progress.effects.insert(0, receipt);
        }
        self.rested()
    }

    /// The end of any turn.
    fn rested(self) -> Step {
        Step::Done(Transition { snapshot: self.progress.snapshot, effects: self.progress.effects })
    }
}
