//! The configuration as a whole.

use std::time::Duration;

use super::table::GROUPS;
use super::*;

const SECRETS: [(&str, &str); 6] = [
    ("WHATSAPP_API_TOKEN", "hush-token"),
    ("WHATSAPP_APP_SECRET", "hush-app"),
    ("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "hush-verify"),
    ("SWITCHBOARD_API_KEY", "hush-key"),
    ("DATABASE_URL", "postgres://app:hush-db@db/chat"),
    ("WHATSAPP_PHONE_NUMBER_ID", "100"),
];

fn problems(toml: &str, env: &[(&str, &str)]) -> Vec<String> {
    from_texts(toml, env).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn without_anything_the_defaults_hold() {
    let config = from_texts("", &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.database.url.expose(), "sqlite://switchboard.db?mode=rwc");
    assert_eq!(config.meta.graph_url, "https://graph.facebook.com");
    assert_eq!(config.meta.graph_version, "v26.0");
    assert_eq!((config.pacing.messages_per_second, config.pacing.pair), (80, true));
    assert_eq!(config.limits.webhook_body_bytes, 4 * 1024 * 1024);
    assert_eq!(config.limits.conversation_idle, Duration::from_mins(15));
    assert_eq!(config.limits.ambiguous_policy, AmbiguousPolicy::Resend);
    assert!(config.numbers.is_empty() && config.flow.is_none() && config.api_key.is_none());
    assert!(Limits::threads(config.limits.actor_threads) >= 1);
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let toml = "listen = '127.0.0.1:1'\n[pacing]\nmessages_per_second = 1_000\npair = false\n";
    let config =
        from_texts(toml, &[("SWITCHBOARD_LISTEN", " 127.0.0.1:2 "), ("SWITCHBOARD_PAIR_PACING", "")])
            .unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.pacing.messages_per_second, 1_000);
    assert!(!config.pacing.pair, "an empty variable is not set");
    let listing = config.listing();
    assert!(listing.contains("Environment: SWITCHBOARD_LISTEN. Now from: SWITCHBOARD_LISTEN."), "{listing}");
    assert!(
        listing.contains("Environment: SWITCHBOARD_PAIR_PACING. Now from: switchboard.toml:4."),
        "{listing}"
    );
    assert!(listing.contains("Environment: DATABASE_URL. Now from: default."), "{listing}");
}

#[test]
fn every_row_has_a_name_of_its_own_and_says_what_it_does() {
    let mut names = std::collections::BTreeSet::new();
    for group in GROUPS {
        for row in group.settings {
            assert!(
                names.insert(group.key(row)) && names.insert(row.env.to_owned()),
                "{} is there twice",
                row.field
            );
            assert!(!row.env.is_empty() && row.doc.trim_end().ends_with('.'), "{}: `{}`", row.field, row.doc);
        }
    }
}

#[test]
fn every_setting_is_in_the_listing() {
    let listing = from_texts("[[numbers]]\nphone_number_id = 7\n", &[]).unwrap().listing();
    for group in GROUPS {
        for row in group.settings {
            for part in [row.field, row.env, row.default, row.doc] {
                assert!(listing.contains(part), "{part} of {} is missing in\n{listing}", row.field);
            }
        }
    }
    for row in number::GROUPS.iter().flat_map(|group| group.settings) {
        assert!(listing.contains(row.doc), "{} is missing in\n{listing}", row.field);
    }
}

#[test]
fn the_listing_is_a_file_that_says_the_same() {
    let toml = "flow = 'C:\\bots\\a \"b\".yaml'\n[limits]\nturn_timeout = '90s'\nwebhook_body_bytes = 3145728\n\
                [log]\nfilter = 'info,switchboard=debug'\n[[numbers]]\nphone_number_id = '007'\nmessages_per_second = 20\n";
    let config = from_texts(toml, &[("WHATSAPP_PHONE_NUMBER_ID", "100")]).unwrap();
    let again = from_texts(&config.listing(), &[]).unwrap();
    let values = |config: &Config| -> Vec<_> {
        GROUPS.iter().flat_map(|group| group.settings).map(|row| (row.field, (row.show)(config))).collect()
    };
    assert_eq!(values(&again), values(&config));
    assert_eq!(format!("{:?}", again.numbers), format!("{:?}", config.numbers));
    assert_eq!(again.limits.turn_timeout, Duration::from_secs(90));
}

#[test]
fn a_secret_is_in_no_listing_and_no_debug() {
    let toml = "[[numbers]]\nphone_number_id = 7\ntoken = 'hush-seven'\n";
    let config = from_texts(toml, &SECRETS).unwrap();
    let listing = config.listing();
    for text in [&listing, &format!("{config:?} {config:#?}")] {
        assert!(!text.contains("hush"), "{text}");
    }
    assert!(
        listing.contains("# api_key: set") && listing.contains("# url: postgres://app:…@db/chat"),
        "{listing}"
    );
    assert!(from_texts("", &[]).unwrap().listing().contains("# api_key: not set"));
}

#[test]
fn a_secret_is_in_no_error() {
    let wrong: Vec<(&str, &str)> = SECRETS
        .iter()
        .map(|(name, _)| match *name {
            "DATABASE_URL" => (*name, "mysql://app:hush@db"),
            "WHATSAPP_PHONE_NUMBER_ID" => (*name, "+49"),
            _ => (*name, "hush\nhush"),
        })
        .chain([("WHATSAPP_GRAPH_URL", "https://me:hush@graph")])
        .collect();
    let error = from_texts("[[numbers]]\nphone_number_id = 7\ntoken = \"hush\\nx\"\n", &wrong).unwrap_err();
    assert_eq!(error.problems.len(), 8, "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
    let error = from_texts("api_key = 'hush\nlisten = 1\n", &[]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    let toml = "lsiten = 'x'\nturn_timeout = '1s'\ncolour = 1\nx = 1\nDATABASE_URL = 'x'\nlimit = 3\n[limits]\nunfinishd_events = 1\n\
                [databse]\nurl = 'x'\n[[numbers]]\nphone_number_id = 1\ntokn = 'x'\n";
    let all = problems(toml, &[]).join("\n");
    for expected in [
        "switchboard.toml:1: there is no setting `lsiten`; did you mean `listen`?",
        "`turn_timeout`; did you mean `limits.turn_timeout`?",
        "`colour`; `switchboard config` lists them all",
        "`x`; `switchboard config` lists them all",
        "`DATABASE_URL`; did you mean `database.url`?",
        "`limit`; did you mean `limits`?",
        "switchboard.toml:8: there is no setting `limits.unfinishd_events`; did you mean `limits.unfinished_events`?",
        "switchboard.toml:9: there is no setting `databse`; did you mean `database`?",
        "switchboard.toml:13: there is no setting `numbers.tokn`; did you mean `token`?",
    ] {
        assert!(all.contains(expected), "{expected} is missing in\n{all}");
    }
}

#[test]
fn all_problems_are_told_at_once_with_key_source_value_and_mend() {
    let toml = "listen = 8000\nlimits = 3\napi_key = ['x']\n[pacing]\npair = 'perhaps'\n";
    let env = [("SWITCHBOARD_TURN_TIMEOUT", "30"), ("SWITCHBOARD_UNFINISHED_EVENTS", "999")];
    let all = problems(toml, &env);
    assert_eq!(all.len(), 6, "{all:#?}");
    let all = all.join("\n");
    for expected in [
        "`listen` (from switchboard.toml:1) is `8000`; allowed: an IP address and a port",
        "switchboard.toml:2: `limits` has to be a table",
        "switchboard.toml:3: `api_key` has to be a single value",
        "`pacing.pair` (from switchboard.toml:5) is `perhaps`; allowed: on or off",
        "`limits.turn_timeout` (from SWITCHBOARD_TURN_TIMEOUT) is `30`; allowed: 10ms to 10m, written like",
        "`limits.unfinished_events` (from SWITCHBOARD_UNFINISHED_EVENTS) is `999`; allowed: 1000 to",
    ] {
        assert!(all.contains(expected), "{expected} is missing in\n{all}");
    }
}

#[test]
fn text_that_is_not_toml_is_told_with_its_line_beside_the_other_mistakes() {
    let all = problems("listen = '127.0.0.1:1'\nflow = = 1\n", &[("SWITCHBOARD_LOG", "a=b=c")]);
    assert!(all[0].starts_with("switchboard.toml:2: "), "{all:?}");
    assert!(all.last().unwrap().contains("SWITCHBOARD_LOG"), "{all:?}");
}

#[test]
fn numbers_are_filled_up_with_what_holds_for_all() {
    let toml = "flow = 'all.yaml'\n[pacing]\nmessages_per_second = 20\n[meta]\ntoken = 'all'\n\
                [[numbers]]\nphone_number_id = '1'\ntoken = 'one'\nflow = 'one.yaml'\nmessages_per_second = 1000\n\
                [[numbers]]\nphone_number_id = 2\ndisplay_phone_number = '+49 30 1'\n";
    let config = from_texts(toml, &[("WHATSAPP_PHONE_NUMBER_ID", "3")]).unwrap();
    let seen: Vec<_> = config
        .numbers
        .iter()
        .map(|n| {
            let token = n.token.as_ref().map_or("", Secret::expose);
            (
                n.phone_number_id.as_str(),
                token,
                n.flow.as_deref().and_then(Path::to_str),
                n.messages_per_second,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("3", "all", Some("all.yaml"), 20),
            ("1", "one", Some("one.yaml"), 1000),
            ("2", "all", Some("all.yaml"), 20),
        ]
    );
}

#[test]
fn the_number_of_the_environment_takes_its_token_from_there_and_the_rest_from_its_entry() {
    let toml = "[[numbers]]\nphone_number_id = 1\n[[numbers]]\nphone_number_id = 2\ntoken = 'old'\nflow = 'two.yaml'\n";
    let env = [("WHATSAPP_PHONE_NUMBER_ID", "2"), ("WHATSAPP_API_TOKEN", "new")];
    let config = from_texts(toml, &env).unwrap();
    assert_eq!(config.numbers.len(), 2);
    let first = &config.numbers[0];
    assert_eq!(first.phone_number_id, "2");
    assert_eq!(first.token.as_ref().unwrap().expose(), "new");
    assert_eq!(first.flow.as_deref(), Some(Path::new("two.yaml")));
}

#[test]
fn a_number_needs_an_id_of_its_own() {
    let toml =
        "[[numbers]]\ntoken = 'x'\n[[numbers]]\nphone_number_id = 1\n[[numbers]]\nphone_number_id = 1\n";
    let all = problems(toml, &[]);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(
        all[0].contains("needs `phone_number_id`") && all[1].contains("number 1 is there twice"),
        "{all:?}"
    );
    assert!(problems("numbers = 3\n", &[])[0].contains("[[numbers]]"));
}

#[test]
fn a_file_that_is_asked_for_has_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    assert!(load(Some(&path), &|_| None).unwrap_err().to_string().contains("cannot read"));
    std::fs::write(&path, "listen = '127.0.0.1:9'\n").unwrap();
    assert_eq!(load(Some(&path), &|_| None).unwrap().listen.port(), 9);
}

#[test]
fn events_are_kept_for_days_and_never_for_less_than_meta_repeats_them() {
    let of = |text: &str| from_texts(&format!("[retention]\nevents = '{text}'\n"), &[]);
    for (text, days) in [("8d", 8), ("2w", 14), ("192h", 8), ("400d", 400)] {
        assert_eq!(of(text).unwrap().retention.events, Some(Duration::from_hours(24 * days)), "{text}");
    }
    for wrong in ["7d", "191h", "0", "soon", "-9d"] {
        let refused = of(wrong).unwrap_err().to_string();
        assert!(refused.contains("retention.events") && refused.contains("8d to "), "{refused}");
    }
}
