//! Our phone numbers, when there are several: `[[numbers]]`.

use std::path::PathBuf;

use super::file::{Given, Table};
use super::nearest::nearest;
use super::problem::Problem;
use super::setting::{Group, settings};
use super::{Config, Secret, rule};

settings! { Number:

/// A phone number of ours. What it does not say is taken from the settings that hold for all.
struct Number {
    /// Meta's id of the number. It has to be there.
    phone_number_id: String = "0", "", rule::meta_id();
    /// The number as people dial it. Only shown.
    display_phone_number: Option<String> = "", "", rule::text().optional();
    /// The access token for this number. Else that of `meta.token`.
    token: Option<Secret> = "", "", rule::secret().optional();
    /// The business account that it belongs to. Else that of `meta.business_account_id`.
    business_account_id: Option<String> = "", "", rule::meta_id().optional();
    /// The flow that answers on this number. Else that of `flow`.
    flow: Option<PathBuf> = "", "", rule::path().optional();
    /// Messages per second of this number; 0 is no pacing. Else that of `pacing.messages_per_second`.
    messages_per_second: u32 = "80", "", rule::count("messages per second", 0..=100_000);
}

}

/// The numbers of `config` and of `tables`, each once and filled up with what holds for all. The number of
/// `meta.phone_number_id` comes first and has the token of `meta.token`, since the environment wins over the file.
pub(super) fn numbers(config: &Config, tables: Vec<Table>, problems: &mut Vec<Problem>) -> Vec<Number> {
    let mut numbers: Vec<Number> = Vec::new();
    for table in tables {
        let place = table.place.clone();
        let Some(number) = number(config, table, problems) else {
            continue;
        };
        if numbers.iter().any(|other| other.phone_number_id == number.phone_number_id) {
            problems.push(Problem::NumberTwice { place, id: number.phone_number_id });
        } else {
            numbers.push(number);
        }
    }
    if let Some(id) = &config.meta.phone_number_id {
        let known = numbers.iter().position(|number| number.phone_number_id == *id);
        let mut first = known.map_or_else(|| plain(config, id.clone()), |place| numbers.remove(place));
        if config.meta.token.is_some() {
            first.token.clone_from(&config.meta.token);
        }
        numbers.insert(0, first);
    }
    numbers
}

fn plain(config: &Config, phone_number_id: String) -> Number {
    Number {
        phone_number_id,
        display_phone_number: None,
        token: config.meta.token.clone(),
        business_account_id: config.meta.business_account_id.clone(),
        flow: config.flow.clone(),
        messages_per_second: config.pacing.messages_per_second,
    }
}

fn number(config: &Config, table: Table, problems: &mut Vec<Problem>) -> Option<Number> {
    let rows = GROUPS.iter().flat_map(|group: &Group<Number>| group.settings);
    let mut number = plain(config, String::new());
    let before = problems.len();
    for (field, Given { text, source }) in table.values {
        let key = format!("numbers.{field}");
        let Some(row) = rows.clone().find(|row| row.field == field) else {
            let suggestion = nearest(&field, rows.clone().map(|row| row.field)).map(str::to_owned);
            problems.push(Problem::UnknownKey { key, place: source.to_string(), suggestion });
            continue;
        };
        if !(row.read)(&mut number, &text) {
            problems.push(Problem::wrong(key, source, &text, (row.about)()));
        }
    }
    if number.phone_number_id.is_empty() && problems.len() == before {
        problems.push(Problem::NumberWithoutId { place: table.place });
    }
    (problems.len() == before).then_some(number)
}
