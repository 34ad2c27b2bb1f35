//! Systems of the user's own that are told what happens: `[[outlets]]`.
//!
//! Whether an address may be posted to and a secret is one of Standard Webhooks is for their user to say.

use super::file::{Given, Table};
use super::nearest::nearest;
use super::problem::Problem;
use super::setting::{Group, settings};
use super::{Secret, rule};
use crate::domain::notice::Kind;

settings! { Outlet:

/// A system of your own that is told what happens, by signed POSTs. Its secret is better set in the environment, as
/// `SWITCHBOARD_OUTLET_<NAME>_SECRET`: the name in capitals, `_` for `-`.
struct Outlet {
    /// What it is called in the log of deliveries. It has to be there.
    name: String = "outlet", "", rule::name();
    /// Where it is told. It has to be there.
    url: String = "https://example.com/", "", rule::outlet_url();
    /// What signs what it is told: `whsec_` and the base64 of 24 to 64 random bytes.
    secret: Option<Secret> = "", "", rule::secret().optional();
    /// What it is told: kinds between commas. Without any, all.
    kinds: Vec<Kind> = "", "", rule::kinds();
    /// About which numbers of ours, by their ids between commas. Without any, all.
    numbers: Vec<String> = "", "", rule::meta_ids();
    /// Whether it may be in a private network, and be reached by plain http.
    private: bool = "off", "", rule::switch();
}

}

/// The outlets of `tables`, each name once and each with a secret; `env` answers with the value of an environment variable.
pub(super) fn outlets(
    tables: Vec<Table>,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> Vec<Outlet> {
    let mut outlets: Vec<Outlet> = Vec::new();
    for table in tables {
        let place = table.place.clone();
        let Some(outlet) = outlet(table, env, problems) else { continue };
        if outlets.iter().any(|other| other.name == outlet.name) {
            problems.push(Problem::Outlet {
                place,
                reason: format!("the outlet `{}` is there twice", outlet.name),
            });
        } else {
            outlets.push(outlet);
        }
    }
    outlets
}

/// The environment variable of an outlet's secret.
pub(super) fn secret_variable(name: &str) -> String {
    format!("SWITCHBOARD_OUTLET_{}_SECRET", name.to_ascii_uppercase().replace('-', "_"))
}

fn outlet(table: Table, env: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<Problem>) -> Option<Outlet> {
    let rows = GROUPS.iter().flat_map(|group: &Group<Outlet>| group.settings);
    let (mut outlet, before) = (Outlet::default(), problems.len());
    let missing: Vec<&str> =
        ["name", "url"].into_iter().filter(|field| !table.values.contains_key(*field)).collect();
    for (field, Given { text, source }) in table.values {
        let key = format!("outlets.{field}");
        let Some(row) = rows.clone().find(|row| row.field == field) else {
            let suggestion = nearest(&field, rows.clone().map(|row| row.field)).map(str::to_owned);
            problems.push(Problem::UnknownKey { key, place: source.to_string(), suggestion });
            continue;
        };
        if !(row.read)(&mut outlet, &text) {
            problems.push(Problem::wrong(key, source, &text, (row.about)()));
        }
    }
    for field in missing {
        let reason = format!("an `[[outlets]]` entry needs `{field}`");
        problems.push(Problem::Outlet { place: table.place.clone(), reason });
    }
    if problems.len() > before {
        return None;
    }
    let variable = secret_variable(&outlet.name);
    if let Some(text) = env(&variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
        outlet.secret = Secret::new(text);
    }
    if outlet.secret.is_none() {
        let reason = format!("the outlet `{}` has no secret; set {variable}", outlet.name);
        problems.push(Problem::Outlet { place: table.place, reason });
        return None;
    }
    Some(outlet)
}

/// Whether an environment variable is the secret of an outlet, whichever there are.
pub(super) fn is_secret_variable(name: &str) -> bool {
    name.strip_prefix("SWITCHBOARD_OUTLET_").is_some_and(|rest| rest.ends_with("_SECRET"))
}

#[cfg(test)]
mod tests {
    use super::super::from_texts;
    use super::*;

    const GOOD: &str = "[[outlets]]\nname = 'our-crm'\nurl = 'https://crm.example.com/hook/?a=1'\nkinds = 'message, alarm'\n\
                        numbers = '106, 107'\nprivate = true\n";

    #[test]
    fn an_outlet_is_read_with_its_secret_from_the_environment() {
        let config = from_texts(GOOD, &[("SWITCHBOARD_OUTLET_OUR_CRM_SECRET", "whsec_x")]).unwrap();
        let [outlet] = config.outlets.as_slice() else { panic!("{:?}", config.outlets) };
        assert_eq!(
            (outlet.name.as_str(), outlet.url.as_str()),
            ("our-crm", "https://crm.example.com/hook/?a=1")
        );
        assert_eq!((outlet.kinds.clone(), outlet.private), (vec![Kind::Message, Kind::Alarm], true));
        assert_eq!(outlet.numbers, ["106", "107"]);
        assert_eq!(outlet.secret.as_ref().map(Secret::expose), Some("whsec_x"));
        assert!(!config.listing().contains("whsec_x"));
        assert!(is_secret_variable(&secret_variable("our-crm")));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told_with_its_place() {
        for (text, words) in [
            (GOOD, "the outlet `our-crm` has no secret; set SWITCHBOARD_OUTLET_OUR_CRM_SECRET"),
            ("[[outlets]]\nname = 'crm'\nsecret = 'x'\n", "needs `url`"),
            ("[[outlets]]\nurl = 'https://x'\nsecret = 'x'\n", "needs `name`"),
            ("[[outlets]]\nname = 'a b'\nurl = 'https://x'\n", "outlets.name"),
            ("[[outlets]]\nname = 'a'\nurl = 'ftp://x'\n", "outlets.url"),
            ("[[outlets]]\nname = 'a'\nurl = 'https://me:pw@x'\n", "outlets.url"),
            ("[[outlets]]\nname = 'a'\nurl = 'https://x'\nkinds = 'mesage'\n", "outlets.kinds"),
            ("[[outlets]]\nname = 'a'\nurls = 'https://x'\n", "did you mean `url`?"),
            ("[outlets]\nname = 'a'\n", "written as [[outlets]]"),
        ] {
            let error = from_texts(text, &[]).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("switchboard.toml:"), "{text}: {error}");
            assert!(!error.contains("me:pw"), "{error}");
        }
        let twice = format!("{GOOD}secret = 's'\n{GOOD}secret = 's'\n");
        assert!(from_texts(&twice, &[]).unwrap_err().to_string().contains("is there twice"));
    }
}
