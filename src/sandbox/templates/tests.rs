//! Definitions and sends that Meta takes, and those that it refuses, each by its code.

use super::*;

fn definition(components: Value) -> Value {
    json!({"name": "order_ready", "language": "en", "category": "UTILITY", "components": components})
}

fn text_body(text: &str) -> Value {
    json!([{"type": "BODY", "text": text, "example": {"body_text": [["a", "b"]]}}])
}

/// Subcode and words of the refusal.
fn refused(definition: &Value) -> (Option<u32>, String) {
    let refusal = define::read(definition, Examples::Needed).unwrap_err();
    assert_eq!((refusal.code, refusal.status), (100, 400), "{definition}");
    (refusal.subcode, refusal.words().to_owned())
}

fn shape(components: Value) -> Shape {
    define::read(&definition(components), Examples::Optional).unwrap().shape
}

#[test]
fn every_demo_template_is_what_meta_would_take() {
    for template in demo_templates() {
        define::read(&template, Examples::Needed).unwrap();
    }
}

#[test]
fn a_definition_is_refused_by_the_subcode_of_its_mistake() {
    let with = |key: &str, value: Value| {
        let mut definition = definition(text_body("Hello {{1}}."));
        definition[key] = value;
        definition
    };
    let component = |more: Value| definition(json!([{"type": "BODY", "text": "Hello."}, more]));
    let buttons = |buttons: Value| component(json!({"type": "BUTTONS", "buttons": buttons}));
    let reply = json!({"type": "QUICK_REPLY", "text": "Yes"});
    let url = |n: usize| json!({"type": "URL", "text": n.to_string(), "url": "https://a.example/"});
    let long = |n: usize| "x".repeat(n);
    for (definition, subcode, named) in [
        (with("name", json!("Big Sale")), None, "lowercase"),
        (with("name", json!(long(513))), Some(2_388_040), "name"),
        (with("language", json!("english")), None, "english"),
        (with("category", json!("SPAM")), None, "SPAM"),
        (with("parameter_format", json!("ROMAN")), None, "parameter_format"),
        (with("components", json!([])), None, "components"),
        (with("colour", json!("red")), None, "colour"),
        (definition(json!([{"type": "FOOTER", "text": "x"}])), Some(2_388_043), "BODY"),
        (definition(json!([{"type": "CAROUSEL"}])), None, "HEADER, BODY"),
        (definition(text_body(&long(1025))), Some(2_388_040), "1024"),
        (definition(text_body("{{1}}, hello")), Some(2_388_299), "start or end"),
        (definition(text_body("hello {{1}}")), Some(2_388_299), "start or end"),
        (definition(text_body("hello {{2}}.")), Some(2_388_072), "variables"),
        (definition(text_body("hello {{name}}.")), Some(2_388_072), "variables"),
        (definition(json!([{"type": "BODY", "text": "hello {{1}}."}])), Some(2_388_043), "example"),
        (component(json!({"type": "BODY", "text": "again"})), None, "second"),
        (component(json!({"type": "FOOTER", "text": "hi {{1}}"})), Some(2_388_073), "footer"),
        (component(json!({"type": "FOOTER", "text": long(61)})), Some(2_388_040), "60"),
        (component(json!({"type": "HEADER", "format": "TEXT", "text": "a\nb"})), Some(2_388_047), "one line"),
        (component(json!({"type": "HEADER", "format": "TEXT", "text": long(61)})), Some(2_388_040), "60"),
        (component(json!({"type": "HEADER", "format": "IMAGE"})), Some(2_388_043), "example"),
        (component(json!({"type": "HEADER", "format": "GIF"})), None, "format"),
        (buttons(json!([])), None, "buttons"),
        (buttons(json!([{"type": "QUICK_REPLY", "text": long(26)}])), None, "text"),
        (buttons(json!([url(1), url(2), url(3)])), None, "at most 2"),
        (buttons(json!([reply, url(1), {"type": "QUICK_REPLY", "text": "No"}])), None, "together"),
        (buttons(json!([{"type": "URL", "text": "x", "url": "https://a.example/{{1}}/b"}])), None, "url"),
        (buttons(json!([{"type": "URL", "text": "x", "url": "https://a.example/{{1}}"}])), None, "example"),
        (buttons(json!([{"type": "COPY_CODE", "example": long(16)}])), None, "15"),
        (buttons(json!([{"type": "OTP", "otp_type": "COPY_CODE"}])), None, "OTP"),
    ] {
        let (got, words) = refused(&definition);
        assert_eq!(got, subcode, "{definition}: {words}");
        assert!(words.contains(named), "{definition}: {words}");
    }
}

#[test]
fn a_one_time_password_has_metas_own_words_and_a_button_that_opens_an_address() {
    let definition = json!({"name": "code", "language": "en", "category": "authentication", "components": [
        {"type": "body", "add_security_recommendation": true},
        {"type": "footer", "code_expiration_minutes": 5},
        {"type": "buttons", "buttons": [{"type": "otp", "otp_type": "copy_code", "text": "Copy"}]},
    ]});
    assert!(refused(&definition).1.contains("otp_type"), "Meta's words are in capitals");
    let mut definition = definition;
    definition["components"][2]["buttons"][0]["otp_type"] = json!("COPY_CODE");
    let read = define::read(&definition, Examples::Needed).unwrap();
    let text = "*{{1}}* is your verification code. For your security, do not share this code.";
    assert_eq!(read.components[0]["text"], text);
    assert_eq!(read.components[1]["text"], "This code expires in 5 minutes.");
    let button = &read.components[2]["buttons"][0];
    assert_eq!((&button["type"], &button["text"]), (&json!("URL"), &json!("Copy")));
    assert!(button["url"].as_str().unwrap().ends_with("{{1}}"));
}

/// A header with a picture, a named body, and one button of each kind.
fn rich() -> Shape {
    let mut shape = shape(json!([
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Hello {{1}}, {{2}} off."},
        {"type": "FOOTER", "text": "Bye"},
        {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "More"},
            {"type": "URL", "text": "Open", "url": "https://a.example/{{1}}"},
            {"type": "URL", "text": "Home", "url": "https://a.example/"},
            {"type": "COPY_CODE", "example": "SPRING"},
        ]},
    ]));
    shape.named = false;
    shape
}

fn sent(shape: &Shape, components: &Value) -> Result<Content, (u32, String)> {
    let components = Param::at("template['components']", components);
    fill::fill(shape, Some(&components))
        .map_err(|refusal| (refusal.code, refusal.details.unwrap_or(refusal.message)))
}

fn header() -> Value {
    json!({"type": "header", "parameters": [{"type": "image", "image": {"link": "https://a.example/b.png"}}]})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn body(parameters: &[Value]) -> Value {
    json!({"type": "body", "parameters": parameters})
}

fn button(sub_type: &str, index: Value, parameter: Value) -> Value {
    json!({"type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter]})
}

fn all() -> Vec<Value> {
    vec![
        header(),
        body(&[text("Ada"), text("20 %")]),
        button("quick_reply", json!("0"), json!({"type": "payload", "payload": "more"})),
        button("url", json!(1), text("spring")),
        button("copy_code", json!("3"), json!({"type": "coupon_code", "coupon_code": "SPRING"})),
    ]
}

#[test]
fn a_send_that_fits_reads_like_the_template_filled_in() {
    let content = sent(&rich(), &json!(all())).unwrap();
    assert_eq!((&*content.text, content.header.as_deref()), ("Hello Ada, 20 % off.", Some("[image]")));
    assert_eq!((content.footer.as_deref(), content.list_button.as_deref()), (Some("Bye"), Some("Open")));
    assert_eq!(content.url.as_deref(), Some("https://a.example/spring"));
    assert_eq!((&*content.options[0].id, &*content.options[0].title), ("more", "More"));
    let money = json!({"type": "currency", "currency": {"code": "EUR", "amount_1000": 12990, "fallback_value": "12.99 €"}});
    let day = json!({"type": "date_time", "date_time": {"fallback_value": "Monday"}});
    let mut with_others = all();
    with_others[1] = body(&[day, money]);
    with_others.remove(2);
    let content = sent(&rich(), &json!(with_others)).unwrap();
    assert_eq!((&*content.text, &*content.options[0].id), ("Hello Monday, 12.99 € off.", "More"));
}

#[test]
fn a_send_that_does_not_fit_is_refused_by_the_code_of_its_mistake() {
    let with = |at: usize, component: Value| {
        let mut components = all();
        components[at] = component;
        json!(components)
    };
    let without = |at: usize| {
        let mut components = all();
        components.remove(at);
        json!(components)
    };
    let unknown = |component: Value| {
        let mut components = all();
        components.push(component);
        json!(components)
    };
    let two = [text("a"), text("b")];
    for (components, code, named) in [
        (without(0), 132_012, "header: Format mismatch, expected IMAGE, received UNKNOWN"),
        (with(0, json!({"type": "header", "parameters": [text("x")]})), 132_012, "received TEXT"),
        (
            with(1, body(&two[..1])),
            132_000,
            "localizable_params (1) does not match the expected number of params (2)",
        ),
        (without(1), 132_000, "body: number of localizable_params (0)"),
        (with(1, body(&[text("a"), json!({"type": "image"})])), 132_012, "expected TEXT, received IMAGE"),
        (with(1, body(&[text("a"), text("")])), 131_008, "missing text value"),
        (with(1, body(&[text("a"), text("two\nlines")])), 132_018, "new-line"),
        (with(1, body(&[text("a"), text("5     spaces")])), 132_018, "consecutive spaces"),
        (with(1, body(&[text("a"), text(&"x".repeat(1020))])), 132_005, "longer"),
        (without(3), 131_008, "Button at index 1 of type Url requires a parameter"),
        (without(4), 131_008, "Button at index 3 of type Copy code requires a parameter"),
        (
            unknown(button("url", json!("2"), text("x"))),
            132_018,
            "Button at index 2 of type Url does not require",
        ),
        (unknown(button("url", json!("7"), text("x"))), 132_018, "index 7 does not exist"),
        (
            with(3, button("quick_reply", json!("1"), text("x"))),
            132_012,
            "expected URL, received QUICK_REPLY",
        ),
        (with(2, button("quick_reply", json!("0"), text("x"))), 132_012, "expected PAYLOAD, received TEXT"),
        (unknown(json!({"type": "order_status"})), 132_018, "order_status"),
    ] {
        let (got, words) = sent(&rich(), &components).unwrap_err();
        assert_eq!(got, code, "{components}: {words}");
        assert!(words.contains(named), "{components}: {words}");
    }
}

#[test]
fn named_places_are_filled_by_name_in_any_order() {
    let definition = json!({"name": "visit", "language": "en", "category": "UTILITY", "parameter_format": "named",
        "components": [{"type": "BODY", "text": "On {{day}} at {{time}} sharp."}]});
    let shape = define::read(&definition, Examples::Optional).unwrap().shape;
    let named = |name: &str, value: &str| json!({"type": "text", "parameter_name": name, "text": value});
    let (day, time) = (named("day", "Monday"), named("time", "9:00"));
    let content = sent(&shape, &json!([body(&[time, day.clone()])])).unwrap();
    assert_eq!(content.text, "On Monday at 9:00 sharp.");
    for (parameters, code) in [
        (vec![day.clone(), text("9:00")], 100),
        (vec![day.clone(), named("hour", "9")], 132_000),
        (vec![day.clone(), day.clone()], 132_000),
        (vec![day], 132_000),
    ] {
        assert_eq!(sent(&shape, &json!([body(&parameters)])).unwrap_err().0, code, "{parameters:?}");
    }
}

#[test]
fn a_template_without_places_takes_none_and_needs_no_components() {
    let shape = shape(json!([{"type": "BODY", "text": "Hello."}]));
    assert_eq!(fill::fill(&shape, None).unwrap().text, "Hello.");
    assert_eq!(sent(&shape, &json!([body(&[text("Ada")])])).unwrap_err().0, 132_000);
    assert_eq!(sent(&shape, &json!([header()])).unwrap_err().0, 132_000);
}
