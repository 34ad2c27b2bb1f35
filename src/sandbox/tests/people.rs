//! Everything that people do on their phones, as it arrives; and people whose numbers and ids change or are hidden.

use super::*;

/// The newest message that arrived once there are `count`, after `words` were sent over HTTP.
struct Wire {
    meta: LocalMeta,
    receiver: Receiver,
    count: usize,
}

impl Wire {
    async fn start() -> Self {
        let receiver = Receiver::start(0);
        let meta = start_with(Some(receiver.url()), false).await;
        Self { meta, receiver, count: 0 }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/phones/{ADA}{path}", self.meta.graph_url());
        let request = server::client().unwrap().request(method.parse().unwrap(), url).body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// What arrives when a phone is told this.
    async fn says(&mut self, words: Value) -> Value {
        let (status, answer) = self.call("POST", "/messages?wait=0", words).await;
        assert_eq!(status, 200, "{answer}");
        let message = self.next().await;
        assert_eq!(message["id"], answer["sent"]["wamid"]);
        message
    }

    async fn next(&mut self) -> Value {
        self.count += 1;
        self.receiver.updates("messages", self.count).await.1[self.count - 1].clone()
    }

    /// The `value` around the newest message.
    fn value(&self) -> Value {
        let posts = self.receiver.posts.borrow();
        let body: Value = serde_json::from_slice(&posts.last().unwrap().1).unwrap();
        let changes = body["entry"][0]["changes"].as_array().unwrap();
        changes.last().unwrap()["value"].clone()
    }
}

#[actix_web::test]
async fn every_inbound_type_arrives_in_metas_shape() {
    let mut wire = Wire::start().await;
    let card = json!([{"name": "Kim", "phone": "+49 151 77"}]);
    let order = json!({"catalog_id": "1", "text": "fast please", "product_items": [
        {"product_retailer_id": "gear", "quantity": 2, "item_price": 9.5, "currency": "EUR"}]});
    for (words, kind, node) in [
        (json!({"text": "hi"}), "text", json!({"body": "hi"})),
        (
            json!({"location": {"latitude": 52.5, "longitude": 13.4, "name": "Plant", "address": "Road 1"}}),
            "location",
            json!({"latitude": 52.5, "longitude": 13.4, "name": "Plant", "address": "Road 1"}),
        ),
        (
            json!({"contacts": card}),
            "contacts",
            json!([{"name": {"formatted_name": "Kim", "first_name": "Kim"}, "origin": "other",
                "phones": [{"phone": "+4915177", "wa_id": "4915177", "type": "CELL"}]}]),
        ),
        (
            json!({"reaction": "👍", "to": "wamid.1"}),
            "reaction",
            json!({"message_id": "wamid.1", "emoji": "👍"}),
        ),
        (json!({"reaction": "", "to": "wamid.1"}), "reaction", json!({"message_id": "wamid.1"})),
        (
            json!({"form": {"size": 3}}),
            "interactive",
            json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"size\":3}"}}),
        ),
        (json!({"order": order}), "order", order.clone()),
        (
            json!({"edit": {"wamid": "wamid.1", "text": "new"}}),
            "edit",
            json!({"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "new"}}}),
        ),
        (json!({"revoke": "wamid.1"}), "revoke", json!({"original_message_id": "wamid.1"})),
        (json!({"unsupported": "poll_creation"}), "unsupported", json!({"type": "poll_creation"})),
        (json!({"raw": {"type": "strange", "strange": [1]}}), "strange", json!([1])),
    ] {
        let message = wire.says(words.clone()).await;
        assert_eq!((&message["type"], &message[kind]), (&json!(kind), &node), "{words}");
        assert_eq!((&message["from"], &message["context"]), (&json!(ADA), &Value::Null), "{words}");
    }
    for words in [json!({}), json!({"text": "a", "revoke": "b"}), json!({"colour": "red"})] {
        assert_eq!(wire.call("POST", "/messages?wait=0", words).await.0, 400);
    }
}

#[actix_web::test]
async fn files_of_every_kind_and_a_sticker_arrive_with_their_nodes() {
    let mut wire = Wire::start().await;
    for (words, kind, member) in [
        ("image", "image", Value::Null),
        ("video", "video", Value::Null),
        ("voice", "audio", json!({"voice": true})),
        ("document", "document", json!({"filename": "document.pdf"})),
        ("sticker", "sticker", json!({"animated": false})),
    ] {
        let message = wire.says(json!({words: true})).await;
        let node = &message[kind];
        assert_eq!(message["type"], kind);
        assert!(["id", "mime_type", "sha256", "url"].iter().all(|key| node[key].is_string()), "{node}");
        for (key, value) in member.as_object().into_iter().flatten() {
            assert_eq!(node[key], *value);
        }
    }
}

#[actix_web::test]
async fn what_meta_cannot_show_carries_its_error() {
    let mut wire = Wire::start().await;
    let code = |message: &Value| message["errors"][0]["code"].as_u64();
    let unsupported = wire.says(json!({"unsupported": "pin"})).await;
    assert_eq!(
        (code(&unsupported), &unsupported["errors"][0]["title"]),
        (Some(131_051), &json!("Message type unknown"))
    );
    assert_eq!(code(&wire.says(json!({"unavailable": true})).await), Some(131_060));
    let lost = wire.says(json!({"lost": "video"})).await;
    assert_eq!((code(&lost), &lost["type"], &lost["video"]), (Some(131_052), &json!("video"), &Value::Null));
    let broken = wire.says(json!({"broken": true})).await;
    assert_eq!((&broken["type"], &broken["interactive"]), (&json!("interactive"), &Value::Null));
    assert_eq!(wire.value()["errors"][0]["code"], 131_000);
}

#[actix_web::test]
async fn what_goes_along_with_a_message_stands_where_meta_puts_it() {
    let mut wire = Wire::start().await;
    let business = wire.meta.settings().display_phone_number.clone();
    let quoted = wire.says(json!({"text": "this one", "quote": "wamid.7", "forwarded": true})).await;
    assert_eq!(quoted["context"], json!({"from": business, "id": "wamid.7", "forwarded": true}));
    let forwarded = wire.says(json!({"image": true, "forwarded_often": true})).await;
    assert_eq!(forwarded["context"], json!({"frequently_forwarded": true}));
    let product = json!({"catalog_id": "1", "product_retailer_id": "gear"});
    let asked = wire.says(json!({"text": "how much?", "product": product})).await;
    assert_eq!(asked["context"], json!({"referred_product": product}));
    let ad = json!({"source_url": "https://a.example/", "source_type": "ad", "source_id": "1"});
    assert_eq!(wire.says(json!({"text": "hi", "referral": ad})).await["referral"], ad);
    // Null takes a member away, and what is given wins.
    let raw = wire
        .says(json!({"raw": {"type": "text", "text": {"body": "x"}, "from": null, "group_id": "g"}}))
        .await;
    assert_eq!((&raw["from"], &raw["group_id"]), (&Value::Null, &json!("g")));
}

#[actix_web::test]
async fn an_answer_names_the_question_it_is_about_or_does_not_as_wished() {
    let mut wire = Wire::start().await;
    let ask = |interactive: Value| {
        let body = json!({"messaging_product": "whatsapp", "to": ADA, "type": "interactive", "interactive": interactive});
        let meta = wire.meta.clone();
        async move { send(&meta, body).await.unwrap().1["messages"][0]["id"].clone() }
    };
    let text = json!({"text": "?"});
    let flow = json!({"type": "flow", "body": text, "action": {"name": "flow", "parameters": {
        "flow_message_version": "3", "flow_id": "1", "flow_cta": "Open"}}});
    let place =
        json!({"type": "location_request_message", "body": text, "action": {"name": "send_location"}});
    let contact =
        json!({"type": "request_contact_info", "body": text, "action": {"name": "request_contact_info"}});
    let (flow, place, contact) = (ask(flow), ask(place), ask(contact));
    let button = ask(json!({"type": "button", "body": text, "action": {"buttons": [
        {"type": "reply", "reply": {"id": "a", "title": "A"}}]}}));
    let id = flow.await;
    assert_eq!(wire.says(json!({"form": {"a": 1}})).await["context"]["id"], id);
    let id = place.await;
    assert_eq!(
        wire.says(json!({"location": {"latitude": 1.0, "longitude": 2.0}})).await["context"]["id"],
        id
    );
    let id = contact.await;
    let shared = wire.says(json!({"share_contact": true})).await;
    assert_eq!(shared["context"]["id"], id);
    assert_eq!(
        (&shared["contacts"][0]["origin"], &shared["contacts"][0]["phones"][0]["wa_id"]),
        (&json!("contact_request"), &json!(ADA))
    );
    let id = button.await;
    assert_eq!(wire.says(json!({"press": "a"})).await["context"]["id"], id);
    assert_eq!(wire.says(json!({"press": "a", "without_context": true})).await["context"], Value::Null);
}

#[actix_web::test]
async fn a_person_with_a_hidden_number_is_known_by_the_user_id_alone() {
    let mut wire = Wire::start().await;
    let profile = json!({"hides_number": true, "username": "ada", "parent_user_id": "US.ENT.1"});
    assert_eq!(wire.call("PUT", "", profile).await.0, 200);
    let message = wire.says(json!({"text": "hi"})).await;
    let user_id = wire.meta.phones()[0].user_id.clone();
    assert_eq!((&message["from"], &message["from_user_id"]), (&Value::Null, &json!(user_id)));
    assert_eq!(message["from_parent_user_id"], "US.ENT.1");
    let contact = json!({"profile": {"name": "Ada", "username": "ada"}, "user_id": user_id, "parent_user_id": "US.ENT.1"});
    assert_eq!(wire.value()["contacts"], json!([contact]));

    let by_id = json!({"messaging_product": "whatsapp", "recipient": user_id, "text": {"body": "by id"}});
    let (_, answer) = send(&wire.meta, by_id).await.unwrap();
    let (_, by_number) = send(&wire.meta, text(ADA, "by number")).await.unwrap();
    assert!(wire.meta.post_status(answer["messages"][0]["id"].as_str().unwrap(), Status::Delivered, None));
    assert!(wire.meta.post_status(
        by_number["messages"][0]["id"].as_str().unwrap(),
        Status::Failed,
        Some(131_026)
    ));
    let (_, statuses) = wire.receiver.updates("statuses", 2).await;
    assert_eq!(
        (&statuses[0]["recipient_id"], &statuses[0]["recipient_user_id"]),
        (&Value::Null, &json!(user_id))
    );
    assert_eq!(
        (&statuses[1]["recipient_id"], &statuses[1]["recipient_user_id"]),
        (&json!(ADA), &Value::Null)
    );
    assert_eq!(wire.call("PUT", "", json!({"parent_user_id": "no"})).await.0, 400);
}

#[actix_web::test]
async fn a_changed_number_is_told_and_the_old_one_leads_nowhere() {
    let mut wire = Wire::start().await;
    wire.says(json!({"text": "before"})).await;
    let old = wire.meta.phones()[0].user_id.clone();
    let (status, told) = wire.call("POST", "/change", json!({"wa_id": "4915112345099"})).await;
    assert_eq!(status, 200, "{told}");
    let message = wire.next().await;
    let new = wire.meta.phones()[0].user_id.clone();
    assert_ne!(old, new, "a new number has a new id");
    assert_eq!((&message["from"], &message["type"]), (&json!(ADA), &json!("system")));
    assert_eq!(
        message["system"],
        json!({"type": "user_changed_number", "wa_id": "4915112345099", "user_id": new,
        "previous_user_id": old, "body": format!("User Ada changed from {ADA} to 4915112345099")})
    );
    assert_eq!(wire.value()["contacts"], Value::Null, "system messages have none");

    wire.meta.say("4915112345099", "after").unwrap();
    assert_eq!(wire.next().await["from"], "4915112345099");
    assert_eq!(texts(&wire.meta.transcript("4915112345099"))[..1], ["before"], "the transcript goes along");
    let by_old_id = json!({"messaging_product": "whatsapp", "recipient": old, "text": {"body": "x"}});
    assert_eq!(send(&wire.meta, by_old_id).await.unwrap().0, 400);
    assert_eq!(send(&wire.meta, text(ADA, "late")).await.unwrap().0, 200);
    let (_, statuses) = wire.receiver.updates("statuses", 1).await;
    assert_eq!(statuses[0]["errors"][0]["code"], 131_026);
    // Whoever gets the number next is somebody else.
    wire.meta.say(ADA, "a new owner").unwrap();
    assert_eq!(send(&wire.meta, text(ADA, "hello")).await.unwrap().0, 200);
    assert_eq!(texts(&wire.meta.transcript(ADA)), ["late", "a new owner", "hello"]);
    let taken = wire.meta.change_number(ADA, "4915112345099").unwrap_err();
    assert_eq!(taken, CannotSay::Taken("4915112345099".into()));
}

#[actix_web::test]
async fn a_changed_user_id_is_told_without_a_number() {
    let mut wire = Wire::start().await;
    let old = wire.meta.phones()[0].user_id.clone();
    assert_eq!(wire.call("POST", "/change", json!({"user_id": "DE.new1"})).await.0, 200);
    let message = wire.next().await;
    assert_eq!((&message["from"], &message["system"]["wa_id"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&message["system"]["type"], &message["system"]["user_id"], &message["system"]["previous_user_id"]),
        (&json!("user_changed_user_id"), &json!("DE.new1"), &json!(old))
    );
    for bad in [json!({}), json!({"user_id": "x"}), json!({"user_id": "DE.new1"}), json!({"wa_id": "x"})] {
        assert_eq!(wire.call("POST", "/change", bad).await.0, 400);
    }
}

#[actix_web::test]
async fn who_stops_marketing_is_told_of_and_gets_none() {
    let mut receiver = Receiver::start(0);
    let meta = start_with(Some(receiver.url()), true).await;
    meta.set_marketing(ADA, false).unwrap();
    let (_, told) = receiver.updates("user_preferences", 1).await;
    assert_eq!(
        (&told[0]["wa_id"], &told[0]["category"], &told[0]["value"]),
        (&json!(ADA), &json!("marketing_messages"), &json!("stop"))
    );
    assert!(told[0]["timestamp"].is_i64());
    let offer = json!({"name": "offer", "language": "en", "category": "MARKETING",
        "components": [{"type": "BODY", "text": "Buy."}]});
    meta.add_template(&offer).unwrap();
    let body = json!({"messaging_product": "whatsapp", "to": ADA, "type": "template",
        "template": {"name": "offer", "language": {"code": "en"}}});
    assert_eq!(send(&meta, body.clone()).await.unwrap().0, 200);
    let (_, statuses) = receiver.updates("statuses", 1).await;
    assert_eq!(statuses[0]["errors"][0]["code"], 131_050);
    let url = format!("{}/phones/{ADA}/preferences", meta.graph_url());
    let resumed = server::client().unwrap().post(url).body(r#"{"marketing":"resume"}"#).send().await.unwrap();
    assert_eq!(resumed.status(), 200);
    send(&meta, body).await.unwrap();
    let (_, statuses) = receiver.updates("statuses", 3).await;
    assert_eq!(statuses[1]["status"], "sent");
}
