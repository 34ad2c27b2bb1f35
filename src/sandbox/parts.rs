//! What a local Meta is made of.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::courier::{Courier, webhook_url};
use super::faults::Faults;
use super::graph::{Gate, Record};
use super::limits::Limiter;
use super::media::Files;
use super::payload::Number;
use super::phones::Phones;
use super::settings::Settings;
use super::statuses::Teller;
use super::templates::Templates;
use super::tokens::Tokens;
use crate::clock::Clock;

/// What the handlers and the courier's loop work with.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) gate: Gate,
    pub(super) phones: Phones,
    pub(super) teller: Teller,
    pub(super) templates: Templates,
    pub(super) files: Files,
    pub(super) faults: Faults,
    pub(super) record: Record,
    pub(super) courier: Arc<Courier>,
    pub(super) clock: Clock,
}

impl Parts {
    /// Makes everything that the settings say, for a local Meta at `addr`.
    pub(super) fn new(settings: &Settings, addr: SocketAddr, clock: Clock) -> io::Result<Self> {
        let invalid =
            |error: &dyn std::error::Error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
        let url =
            settings.webhook_url.as_deref().map(webhook_url).transpose().map_err(|error| invalid(&error))?;
        let number = Number {
            business_account_id: settings.business_account_id.clone(),
            phone_number_id: settings.phone_number_id.clone(),
            display_phone_number: settings.display_phone_number.clone(),
        };
        let files = Files::new(&format!("http://{addr}"), clock.clone());
        let courier = Arc::new(Courier::new(number.clone(), settings.app_secret.clone(), url));
        let teller = Teller::new(courier.clone(), clock.clone());
        let limiter = Limiter::new(settings.limits);
        let phones = Phones::new(
            courier.clone(),
            teller.clone(),
            limiter.clone(),
            clock.clone(),
            &settings.display_phone_number,
            settings.statuses,
        );
        for phone in &settings.phones {
            phones.add(phone).map_err(|error| invalid(&error))?;
        }
        let templates = Templates::new(courier.clone(), clock.clone(), settings.any_template);
        for template in &settings.templates {
            templates.add(template).map_err(|error| invalid(&error))?;
        }
        Ok(Self {
            gate: Gate {
                number,
                tokens: Tokens::new(settings.token.clone(), clock.clone()),
                limiter,
                first_token: settings.token.as_str().into(),
            },
            phones,
            teller,
            templates,
            files,
            faults: Faults::new(clock.clone()),
            record: Record::new(clock.clone()),
            courier,
            clock,
        })
    }
}
