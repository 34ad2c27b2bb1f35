//! What Meta checks in an interactive message: buttons, lists and the small kinds.
//!
//! Limits: Meta, "Interactive reply buttons", "Interactive list", "Interactive call-to-action URL button" messages, 2026.
//! Meta's pages disagree about a list's body (1,024 or 4,096 characters); the lower one is enforced.

use std::collections::HashSet;

use super::entry::{Choice, Content};
use super::param::{Checked, Param};
use super::validate::{asset, web_address};

const BODY_MAX: usize = 1024;
const HEADER_MAX: usize = 60;
const FOOTER_MAX: usize = 60;
const BUTTONS_MAX: usize = 3;
const BUTTON_ID_MAX: usize = 256;
/// Also the label that opens a list and the one of a call-to-action button.
const LABEL_MAX: usize = 20;
const SECTIONS_MAX: usize = 10;
const SECTION_TITLE_MAX: usize = 24;
/// Over all sections of one list.
const ROWS_MAX: usize = 10;
const ROW_ID_MAX: usize = 200;
const ROW_TITLE_MAX: usize = 24;
const ROW_DESCRIPTION_MAX: usize = 72;
const FLOW_LABEL_MAX: usize = 30;

/// Checks the `interactive` node.
pub(super) fn check(node: &Param<'_>) -> Checked<Content> {
    node.only(&["type", "header", "body", "footer", "action"])?;
    let kind = node.need("type")?.one_of(&[
        "button",
        "list",
        "cta_url",
        "location_request_message",
        "request_contact_info",
        "flow",
    ])?;
    let action = node.need("action")?;
    let mut content = match kind {
        "button" => buttons(&action)?,
        "list" => list(&action)?,
        "cta_url" => cta_url(&action)?,
        "flow" => flow(&action)?,
        "location_request_message" => named(&action, "send_location")?,
        _ => named(&action, "request_contact_info")?,
    };
    kind.clone_into(&mut content.kind);
    let body = node.need("body")?;
    body.only(&["text"])?;
    body.need("text")?.text(BODY_MAX)?.clone_into(&mut content.text);
    if let Some(header) = node.find("header") {
        let (shown, media) = check_header(&header, kind)?;
        (content.header, content.media) = (Some(shown), media);
    }
    if let Some(footer) = node.find("footer") {
        footer.only(&["text"])?;
        content.footer = Some(footer.need("text")?.text(FOOTER_MAX)?.to_owned());
    }
    Ok(content)
}

/// A list takes a header of text only; the others also an image, a video or a document. The answer is what it shows, and
/// the id of its file.
fn check_header(header: &Param<'_>, kind: &str) -> Checked<(String, Option<String>)> {
    let allowed: &[&str] = if kind == "list" { &["text"] } else { &["text", "image", "video", "document"] };
    let of = header.need("type")?.one_of(allowed)?;
    header.only(&["type", of])?;
    let node = header.need(of)?;
    if of == "text" {
        return Ok((node.text(HEADER_MAX)?.to_owned(), None));
    }
    Ok((format!("[{of}]"), asset(of, &node)?.media))
}

fn buttons(action: &Param<'_>) -> Checked<Content> {
    action.only(&["buttons"])?;
    let mut options = Vec::new();
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    for button in action.need("buttons")?.items(BUTTONS_MAX)? {
        button.only(&["type", "reply"])?;
        button.need("type")?.one_of(&["reply"])?;
        let reply = button.need("reply")?;
        reply.only(&["id", "title"])?;
        let id = unique(&reply.need("id")?, BUTTON_ID_MAX, &mut ids)?;
        let title = unique(&reply.need("title")?, LABEL_MAX, &mut titles)?;
        options.push(Choice { id, title, description: None, section: None });
    }
    Ok(Content { options, ..Content::default() })
}

fn list(action: &Param<'_>) -> Checked<Content> {
    action.only(&["button", "sections"])?;
    let button = action.need("button")?.text(LABEL_MAX)?;
    let sections = action.need("sections")?;
    let given = sections.items(SECTIONS_MAX)?;
    let mut options = Vec::new();
    let mut ids = HashSet::new();
    for section in &given {
        section.only(&["title", "rows"])?;
        let heading = section.text_at("title", SECTION_TITLE_MAX)?.map(str::to_owned);
        if heading.is_none() && given.len() > 1 {
            section.need("title")?;
        }
        for row in section.need("rows")?.items(ROWS_MAX)? {
            row.only(&["id", "title", "description"])?;
            options.push(Choice {
                id: unique(&row.need("id")?, ROW_ID_MAX, &mut ids)?,
                title: row.need("title")?.text(ROW_TITLE_MAX)?.to_owned(),
                description: row.text_at("description", ROW_DESCRIPTION_MAX)?.map(str::to_owned),
                section: heading.clone(),
            });
        }
    }
    if options.len() > ROWS_MAX {
        return Err(sections.bad(&format!("must have at most {ROWS_MAX} rows in total")));
    }
    Ok(Content { options, list_button: Some(button.to_owned()), ..Content::default() })
}

/// A string of 1 to `max` characters that is not among those `seen`.
fn unique(param: &Param<'_>, max: usize, seen: &mut HashSet<String>) -> Checked<String> {
    let text = param.text(max)?.to_owned();
    if seen.insert(text.clone()) {
        Ok(text)
    } else {
        Err(param.bad(&format!("must be unique - got \"{text}\" twice")))
    }
}

fn cta_url(action: &Param<'_>) -> Checked<Content> {
    action.only(&["name", "parameters"])?;
    action.need("name")?.one_of(&["cta_url"])?;
    let parameters = action.need("parameters")?;
    parameters.only(&["display_text", "url"])?;
    let label = parameters.need("display_text")?.text(LABEL_MAX)?;
    let url = web_address(&parameters.need("url")?)?;
    Ok(Content { list_button: Some(label.to_owned()), url: Some(url.to_owned()), ..Content::default() })
}

fn flow(action: &Param<'_>) -> Checked<Content> {
    action.only(&["name", "parameters"])?;
    action.need("name")?.one_of(&["flow"])?;
    let parameters = action.need("parameters")?;
    parameters.need("flow_message_version")?.one_of(&["3"])?;
    if parameters.find("flow_name").is_none() {
        parameters.need("flow_id")?;
    }
    let label = parameters.need("flow_cta")?.text(FLOW_LABEL_MAX)?;
    Ok(Content { list_button: Some(label.to_owned()), ..Content::default() })
}

fn named(action: &Param<'_>, name: &str) -> Checked<Content> {
    action.only(&["name"])?;
    action.need("name")?.one_of(&[name])?;
    Ok(Content::default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sandbox::refusal::Refusal;

    fn checked(node: &Value) -> Result<Content, Refusal> {
        let body = json!({"interactive": node});
        check(&Param::root(&body).find("interactive").unwrap())
    }

    fn button(id: &str, title: &str) -> Value {
        json!({"type": "reply", "reply": {"id": id, "title": title}})
    }

    fn with_buttons(buttons: &[Value]) -> Value {
        json!({"type": "button", "body": {"text": "Choose"}, "action": {"buttons": buttons}})
    }

    fn with_sections(sections: &Value) -> Value {
        json!({"type": "list", "body": {"text": "Choose"}, "action": {"button": "Open", "sections": sections}})
    }

    fn rows(count: usize) -> Vec<Value> {
        (0..count).map(|n| json!({"id": format!("r{n}"), "title": format!("Row {n}")})).collect()
    }

    #[test]
    fn three_buttons_and_ten_rows_pass_and_show_what_can_be_pressed() {
        let three = with_buttons(&[button("a", "A"), button("b", "B"), button("c", &"ü".repeat(20))]);
        assert_eq!(checked(&three).unwrap().options.len(), 3);
        let list = checked(&with_sections(&json!([{"rows": rows(10)}]))).unwrap();
        assert_eq!((list.options.len(), list.list_button.as_deref()), (10, Some("Open")));
    }

    #[test]
    fn every_limit_is_refused_by_the_name_of_its_parameter() {
        let long = |n| "x".repeat(n);
        let header = |header: Value| {
            let mut node = with_sections(&json!([{"rows": rows(1)}]));
            node["header"] = header;
            node
        };
        let row = |row: Value| with_sections(&json!([{"rows": [row]}]));
        for (node, named) in [
            (with_buttons(&[]), "interactive['action']['buttons']"),
            (
                with_buttons(&[button("a", "A"), button("b", "B"), button("c", "C"), button("d", "D")]),
                "between 1 and 3",
            ),
            (
                with_buttons(&[button("a", &long(21))]),
                "interactive['action']['buttons'][0]['reply']['title']",
            ),
            (
                with_buttons(&[button("a", "A"), button("b", "A")]),
                "buttons'][1]['reply']['title'] must be unique",
            ),
            (
                with_buttons(&[button("a", "A"), button("a", "B")]),
                "buttons'][1]['reply']['id'] must be unique",
            ),
            (with_buttons(&[button(&long(257), "A")]), "['reply']['id']"),
            (
                with_sections(&json!([{"title": "1", "rows": rows(6)}, {"title": "2", "rows": rows(6)}])),
                "must be unique",
            ),
            (with_sections(&json!([{"rows": rows(11)}])), "between 1 and 10"),
            (
                with_sections(&json!([{"rows": rows(1)}, {"rows": rows(1)}])),
                "sections'][0]['title'] is required",
            ),
            (row(json!({"id": "r", "title": long(25)})), "['rows'][0]['title']"),
            (row(json!({"id": long(201), "title": "R"})), "['rows'][0]['id']"),
            (row(json!({"id": "r", "title": "R", "description": long(73)})), "['description']"),
            (row(json!({"id": "r", "title": "R", "colour": "red"})), "Unexpected key \"colour\""),
            (header(json!({"type": "image", "image": {"id": "1"}})), "interactive['header']['type']"),
            (header(json!({"type": "text", "text": long(61)})), "interactive['header']['text']"),
            (json!({"type": "button", "action": {"buttons": [button("a", "A")]}}), "interactive['body']"),
            (json!({"type": "carousel", "body": {"text": "x"}, "action": {}}), "interactive['type']"),
        ] {
            let refusal = checked(&node).unwrap_err();
            let details = refusal.details.unwrap();
            assert!(details.contains(named), "{node}: {details}");
        }
        let mut node = with_buttons(&[button("a", "A")]);
        node["body"]["text"] = json!(long(1025));
        assert!(checked(&node).unwrap_err().details.unwrap().contains("interactive['body']['text']"));
        node["body"]["text"] = json!("ok");
        node["footer"] = json!({"text": long(61)});
        assert!(checked(&node).unwrap_err().details.unwrap().contains("interactive['footer']['text']"));
    }

    #[test]
    fn more_than_ten_rows_over_all_sections_are_refused() {
        let more: Vec<Value> = (0..6).map(|n| json!({"id": format!("m{n}"), "title": "More"})).collect();
        let node = with_sections(&json!([{"title": "1", "rows": rows(6)}, {"title": "2", "rows": more}]));
        assert!(checked(&node).unwrap_err().details.unwrap().contains("at most 10 rows in total"));
    }

    #[test]
    fn a_link_button_needs_a_web_address() {
        let node = |url: &str| {
            json!({"type": "cta_url", "body": {"text": "x"},
                "action": {"name": "cta_url", "parameters": {"display_text": "Open", "url": url}}})
        };
        assert_eq!(
            checked(&node("https://a.example/x")).unwrap().url.as_deref(),
            Some("https://a.example/x")
        );
        assert!(checked(&node("javascript:alert(1)")).is_err());
    }
}
