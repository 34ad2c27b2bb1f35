//! What is at Meta's: the token, the number, the app secret, the subscription of the app, the callback URL; and whether its
//! clock and ours agree.

use serde_json::Value;

use super::here::span;
use super::{Finding, Verdict};
use crate::clock::{Clock, DAY, Millis};
use crate::config::{Config, Number};
use crate::meta::client::{BadSetting, Client, Outcome, Settings, Sight};
use crate::meta::failure::cause;
use crate::meta::signature::AppSecret;

/// What a token has to be allowed. Source: Meta, "permissions", 2026.
const SCOPES: [&str; 2] = ["whatsapp_business_messaging", "whatsapp_business_management"];
/// A token that ends within this is doubtful.
const TOKEN_ENDS_SOON: Millis = 7 * DAY;
/// How far the clocks may be apart, in milliseconds. Meta tells whole seconds, and the way takes some.
const CLOCKS_APART_MAX: Millis = 5_000;
const CLOCKS_APART_BAD: Millis = 60_000;
/// What is asked of a number. Source: Meta, "business phone numbers" and "webhook overrides", 2026.
const NUMBER_FIELDS: &str = "display_phone_number,verified_name,quality_rating,status,webhook_configuration";

/// Everything about one of our numbers.
pub(super) async fn number(
    config: &Config,
    number: &Number,
    clock: &Clock,
) -> Result<Vec<Finding>, BadSetting> {
    let Some(token) = &number.token else { return Ok(Vec::new()) };
    let client = Client::new(&Settings {
        graph_url: config.meta.graph_url.clone(),
        version: config.meta.graph_version.clone(),
        token: token.clone(),
        timeout: config.limits.send_timeout,
        connect_timeout: config.limits.connect_timeout,
    })?;
    let token = token.expose().trim();
    let id = number.phone_number_id.as_str();
    let inspected = client.look(&["debug_token"], &[("input_token", token)]).await;
    let app_id = inspected.as_ref().ok().and_then(|sight| sight.body["data"]["app_id"].as_str());
    let mut findings = vec![token_finding(id, &inspected, clock.now())];
    let asked_at = clock.now();
    let seen = client.look(&[id], &[("fields", NUMBER_FIELDS)]).await;
    findings.push(number_finding(id, &seen));
    findings.extend(clock_finding(&seen, (asked_at + clock.now()) / 2));
    findings.push(match &config.meta.app_secret {
        None => {
            unset("app secret", "WHATSAPP_APP_SECRET is not set", "copy it from the app's settings, Basic")
        }
        Some(secret) => {
            let proof = AppSecret::new(secret.expose()).proof(token);
            secret_finding(&client.look(&[id], &[("fields", "id"), ("appsecret_proof", &proof)]).await)
        }
    });
    findings.push(match number.business_account_id.as_ref().or(config.meta.business_account_id.as_ref()) {
        None => unset(
            "subscription",
            "no business account is set, so its apps cannot be listed",
            "set WHATSAPP_BUSINESS_ACCOUNT_ID",
        ),
        Some(account) => {
            let apps = client.look(&[account, "subscribed_apps"], &[]).await;
            subscription_finding(account, &apps, app_id)
        }
    });
    findings.extend(callback(config, &client, &seen).await);
    Ok(findings)
}

fn unset(thing: &'static str, seen: &str, mend: &str) -> Finding {
    Finding::new(thing, Verdict::Unknown, seen, mend)
}

/// An attempt that came to nothing, in words: what was seen, and what mends it.
fn trouble(thing: &'static str, outcome: &Outcome) -> Finding {
    match outcome {
        Outcome::Refused(refused) => {
            let failure = &refused.failure;
            let seen = format!("Meta refuses: {} ({})", failure.title, failure.code);
            Finding::new(thing, Verdict::Bad, seen, cause(failure.code))
        }
        Outcome::NotSent(why) | Outcome::Ambiguous(why) => Finding::new(
            thing,
            Verdict::Bad,
            format!("Meta cannot be reached: {why}"),
            "check the network, the proxy and WHATSAPP_GRAPH_URL",
        ),
        Outcome::Accepted { .. } => {
            Finding::new(thing, Verdict::Unknown, "Meta's answer says nothing", "ask again")
        }
    }
}

fn token_finding(number: &str, inspected: &Result<Sight, Outcome>, now: Millis) -> Finding {
    let mend = "make a token of a system user (Business settings, System users) with both permissions and without an end, and set WHATSAPP_API_TOKEN";
    let data = match inspected {
        Ok(sight) => &sight.body["data"],
        Err(Outcome::Refused(refused)) if refused.failure.code == 190 => {
            let seen = format!("of {number}: {}", refused.failure.title);
            return Finding::new("token", Verdict::Bad, seen, mend);
        }
        Err(Outcome::Refused(refused)) => {
            let seen = format!("of {number}: Meta does not tell of it: {}", refused.failure.title);
            return Finding::new(
                "token",
                Verdict::Unknown,
                seen,
                "see what `number` says: that needs the token too",
            );
        }
        Err(outcome) => return trouble("token", outcome),
    };
    if data["is_valid"] != true {
        let why = data["error"]["message"].as_str().unwrap_or("Meta says that it is not valid");
        return Finding::new("token", Verdict::Bad, format!("of {number}: {why}"), mend);
    }
    let held: Vec<&str> = data["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let missing: Vec<&str> = SCOPES.into_iter().filter(|scope| !held.contains(scope)).collect();
    if !missing.is_empty() {
        let seen = format!("of {number}: it lacks {}", missing.join(" and "));
        return Finding::new("token", Verdict::Bad, seen, mend);
    }
    match data["expires_at"].as_i64().unwrap_or(0).saturating_mul(1_000) {
        0 => Finding::good("token", format!("of {number}: good, and without an end")),
        ends if ends - now < TOKEN_ENDS_SOON => {
            let seen = format!("of {number}: it ends in {}", span(ends - now));
            Finding::new("token", Verdict::Doubtful, seen, mend)
        }
        ends => Finding::good("token", format!("of {number}: good for {}", span(ends - now))),
    }
}

fn number_finding(number: &str, seen: &Result<Sight, Outcome>) -> Finding {
    let body = match seen {
        Ok(sight) => &sight.body,
        Err(Outcome::Refused(refused)) if refused.failure.code == 100 => {
            return Finding::new(
                "number",
                Verdict::Bad,
                format!("{number}: {}", refused.failure.title),
                "WHATSAPP_PHONE_NUMBER_ID is the id of the number (WhatsApp, API setup), not the number itself; and the token's system user needs the account as an asset",
            );
        }
        Err(outcome) => return trouble("number", outcome),
    };
    let text = |name: &str| body[name].as_str().unwrap_or("?").to_owned();
    let (quality, status) = (text("quality_rating"), text("status"));
    let seen = format!(
        "{number}: {} ({}), quality {quality}, status {status}",
        text("display_phone_number"),
        text("verified_name")
    );
    match (status.as_str(), quality.as_str()) {
        ("CONNECTED" | "?", "RED") => Finding::new(
            "number",
            Verdict::Doubtful,
            seen,
            "people block or report it: send less, and only what they asked for",
        ),
        ("CONNECTED" | "?", _) => Finding::good("number", seen),
        _ => Finding::new(
            "number",
            Verdict::Bad,
            seen,
            "register the number (WhatsApp Manager, Phone numbers) until its status is CONNECTED",
        ),
    }
}

/// `here` is the middle of our time around the request.
fn clock_finding(seen: &Result<Sight, Outcome>, here: Millis) -> Option<Finding> {
    // The header is cut to whole seconds: half of one is its middle.
    let there = seen.as_ref().ok()?.date? + 500;
    let apart = (here - there).abs();
    let mend =
        "have the machine's clock set by NTP: windows of 24 hours and ages of messages are counted by it";
    Some(match apart {
        0..=CLOCKS_APART_MAX => Finding::good("clock", "agrees with Meta's"),
        _ => {
            let verdict = if apart > CLOCKS_APART_BAD { Verdict::Bad } else { Verdict::Doubtful };
            let side = if here > there { "ahead of" } else { "behind" };
            Finding::new("clock", verdict, format!("{} {side} Meta's", span(apart)), mend)
        }
    })
}

fn secret_finding(seen: &Result<Sight, Outcome>) -> Finding {
    match seen {
        Ok(_) => Finding::good("app secret", "Meta takes a proof that is made with it"),
        Err(Outcome::Refused(refused))
            if refused.failure.code == 100 && refused.failure.title.contains("appsecret_proof") =>
        {
            Finding::new(
                "app secret",
                Verdict::Bad,
                "Meta does not take a proof that is made with it: every webhook would be refused as forged",
                "copy the secret of the very app that the token is of (App settings, Basic) to WHATSAPP_APP_SECRET",
            )
        }
        Err(_) => {
            unset("app secret", "it cannot be tried while the number cannot be read", "mend `number` first")
        }
    }
}

fn subscription_finding(account: &str, apps: &Result<Sight, Outcome>, app_id: Option<&str>) -> Finding {
    let body = match apps {
        Ok(sight) => &sight.body,
        Err(outcome) => return trouble("subscription", outcome),
    };
    let apps: Vec<&Value> = body["data"].as_array().into_iter().flatten().collect();
    let ids: Vec<&str> =
        apps.iter().filter_map(|app| app["whatsapp_business_api_data"]["id"].as_str()).collect();
    let mend = format!(
        "subscribe it: `POST /{account}/subscribed_apps` with the token; without it, no message of a person is told"
    );
    if ids.is_empty() {
        let seen = format!("no app is subscribed to the account {account}");
        return Finding::new("subscription", Verdict::Bad, seen, mend);
    }
    match app_id {
        Some(app_id) if !ids.contains(&app_id) => {
            let seen = format!(
                "the app {app_id} of the token is not subscribed to the account {account}, only {}",
                ids.join(", ")
            );
            Finding::new("subscription", Verdict::Bad, seen, mend)
        }
        _ => Finding::good("subscription", format!("the account {account} tells the app")),
    }
}

/// Where Meta posts to, and whether somebody is there who knows our verify token.
async fn callback(config: &Config, client: &Client, seen: &Result<Sight, Outcome>) -> Vec<Finding> {
    let told = seen.as_ref().ok().and_then(|sight| effective_callback(&sight.body));
    let wanted = config.meta.webhook_url.as_deref();
    let mut findings = vec![if seen.is_ok() {
        callback_finding(told, wanted)
    } else {
        unset(
            "callback",
            "where Meta posts to is not known while the number cannot be read",
            "mend `number` first",
        )
    }];
    if let (Some(url), Some(verify_token)) = (wanted.or(told), &config.meta.verify_token) {
        let challenge = format!("{}", u64::MAX / 7);
        findings.push(match client.knock(url, verify_token, &challenge).await {
            Ok(()) => Finding::good("callback answers", format!("{url} repeats the challenge")),
            Err(why) => Finding::new(
                "callback answers",
                Verdict::Bad,
                format!("{url}: {why}"),
                "start `switchboard serve`, lead the address to it (proxy, tunnel, TLS), and give both sides the same verify token",
            ),
        });
    }
    findings
}

/// The address that counts: of the number, else of the account, else of the app.
fn effective_callback(number: &Value) -> Option<&str> {
    let told = &number["webhook_configuration"];
    ["phone_number", "whatsapp_business_account", "application"]
        .into_iter()
        .find_map(|whose| told[whose].as_str().filter(|url| !url.is_empty()))
}

fn callback_finding(told: Option<&str>, wanted: Option<&str>) -> Finding {
    let mend = "set the callback URL and the verify token in the app (WhatsApp, Configuration) and subscribe to the field `messages`";
    match (told, wanted) {
        (Some(told), Some(wanted)) if told == wanted => {
            Finding::good("callback", format!("Meta posts to {told}"))
        }
        (Some(told), Some(wanted)) => Finding::new(
            "callback",
            Verdict::Bad,
            format!("Meta posts to {told}, and WHATSAPP_WEBHOOK_URL is {wanted}"),
            mend,
        ),
        (Some(told), None) => Finding::new(
            "callback",
            Verdict::Unknown,
            format!("Meta posts to {told}; whether that is meant is not known"),
            "set WHATSAPP_WEBHOOK_URL",
        ),
        (None, _) => {
            Finding::new("callback", Verdict::Doubtful, "Meta tells no address that it posts to", mend)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::delivery::Failure;
    use crate::meta::failure::Refused;

    const NOW: Millis = 1_795_337_387_000;

    fn sight(body: Value) -> Result<Sight, Outcome> {
        Ok(Sight { body, date: Some(NOW) })
    }

    fn refused(code: i64, title: &str) -> Result<Sight, Outcome> {
        let failure = Failure { code, title: title.to_owned(), details: None, trace: None };
        Err(Outcome::Refused(Refused { http_status: 400, failure, retry_after: None }))
    }

    #[test]
    fn a_token_is_good_ends_or_lacks_something() {
        let token = |change: Value| {
            let mut data = json!({"is_valid": true, "expires_at": 0, "scopes": SCOPES});
            data.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            token_finding("1", &sight(json!({"data": data})), NOW).verdict
        };
        assert_eq!(token(json!({})), Verdict::Good);
        assert_eq!(token(json!({"expires_at": NOW / 1_000 + 60 * 86_400})), Verdict::Good);
        assert_eq!(token(json!({"expires_at": NOW / 1_000 + 3_600})), Verdict::Doubtful);
        assert_eq!(token(json!({"scopes": [SCOPES[0]]})), Verdict::Bad);
        assert_eq!(token(json!({"is_valid": false})), Verdict::Bad);
        assert_eq!(token_finding("1", &refused(190, "expired"), NOW).verdict, Verdict::Bad);
        assert_eq!(token_finding("1", &refused(10, "no permission"), NOW).verdict, Verdict::Unknown);
        let away = Err(Outcome::NotSent("no connection".to_owned()));
        assert_eq!(token_finding("1", &away, NOW).verdict, Verdict::Bad);
    }

    #[test]
    fn clocks_agree_to_some_seconds() {
        let at = |here| clock_finding(&sight(json!({})), here).unwrap().verdict;
        assert_eq!(
            (at(NOW), at(NOW + 4_000), at(NOW - 4_000)),
            (Verdict::Good, Verdict::Good, Verdict::Good)
        );
        assert_eq!((at(NOW + 20_000), at(NOW - 20_000)), (Verdict::Doubtful, Verdict::Doubtful));
        assert_eq!((at(NOW + 70_000), at(NOW - 70_000)), (Verdict::Bad, Verdict::Bad));
        assert_eq!(clock_finding(&refused(1, "x"), NOW), None);
    }

    #[test]
    fn an_app_has_to_be_subscribed() {
        let apps = sight(json!({"data": [{"whatsapp_business_api_data": {"id": "7", "name": "ours"}}]}));
        assert_eq!(subscription_finding("1", &apps, Some("7")).verdict, Verdict::Good);
        assert_eq!(subscription_finding("1", &apps, None).verdict, Verdict::Good);
        assert_eq!(subscription_finding("1", &apps, Some("8")).verdict, Verdict::Bad);
        assert_eq!(subscription_finding("1", &sight(json!({"data": []})), Some("7")).verdict, Verdict::Bad);
    }

    #[test]
    fn the_nearest_callback_counts() {
        let told =
            json!({"webhook_configuration": {"application": "https://a", "phone_number": "https://p"}});
        assert_eq!(effective_callback(&told), Some("https://p"));
        assert_eq!(callback_finding(Some("https://p"), Some("https://p")).verdict, Verdict::Good);
        assert_eq!(callback_finding(Some("https://p"), Some("https://a")).verdict, Verdict::Bad);
        assert_eq!(callback_finding(Some("https://p"), None).verdict, Verdict::Unknown);
        assert_eq!(callback_finding(None, Some("https://a")).verdict, Verdict::Doubtful);
    }
}
