//! What a local Meta is started with.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::limits::Limits;
use super::templates::demo_templates;

/// A phone that stands in the list from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoPhone {
    /// Its number, with or without `+`.
    pub wa_id: String,
    /// The name in its profile.
    pub name: String,
}

/// What a local Meta is started with. [`Settings::made_up`] fills in everything but the address.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen: an address of this machine; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The id in the Graph path.
    pub phone_number_id: String,
    /// The business's number, digits only.
    pub display_phone_number: String,
    /// The id in `entry[].id`.
    pub business_account_id: String,
    /// What webhooks are signed with.
    pub app_secret: String,
    /// What [`super::LocalMeta::verify_webhook`] presents.
    pub verify_token: String,
    /// What the Graph side wants as `Authorization: Bearer`.
    pub token: String,
    /// Where webhooks go, such as `http://127.0.0.1:8000/api/whatsapp/webhook`; can be set later.
    pub webhook_url: Option<String>,
    /// The phones in the list.
    pub phones: Vec<DemoPhone>,
    /// Whether each delivery posts the statuses `sent` and `delivered` by itself. Without it the only statuses are
    /// those of [`super::LocalMeta::post_status`] and of phones that are opened.
    pub statuses: bool,
    /// The limits that it keeps from the start.
    pub limits: Limits,
    /// The templates that are there and approved from the start, each as `POST /{business_account_id}/message_templates`
    /// takes it.
    pub templates: Vec<Value>,
    /// Whether a template that is not there is delivered unchecked, instead of being refused with 132001.
    pub any_template: bool,
}

impl fmt::Debug for Settings {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("phone_number_id", &self.phone_number_id)
            .field("webhook_url", &self.webhook_url)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// A number with fresh secrets, three demo phones, demo templates and Meta's limits, at `listen`.
    #[must_use]
    pub fn made_up(listen: SocketAddr) -> Self {
        let secret = || Uuid::new_v4().simple().to_string();
        let phone = |wa_id: &str, name: &str| DemoPhone { wa_id: wa_id.into(), name: name.into() };
        Self {
            listen,
            phone_number_id: "106540352242922".into(),
            display_phone_number: "15550783881".into(),
            business_account_id: "102290129340398".into(),
            app_secret: secret(),
            verify_token: secret(),
            token: format!("EAA{}{}", secret(), secret()),
            webhook_url: None,
            phones: vec![
                phone("4915112345001", "Ada"),
                phone("4915112345002", "Bo"),
                phone("4915112345003", "Chidi"),
            ],
            statuses: true,
            limits: Limits::default(),
            templates: demo_templates(),
            any_template: false,
        }
    }
}
