//! A reader of the event stream that knows nothing but the format of server-sent events, and can lose its connection.

use std::net::SocketAddr;

use reqwest::{Client, Response};
use serde_json::Value;

use super::app::API_KEY;

/// One event, or a sign of life that carries an id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: Option<String>,
    /// `message` where none is named, as the format has it.
    pub(crate) event: String,
    /// `null` where there is none: then it is no event.
    pub(crate) data: Value,
}

/// The reader.
pub(crate) struct Listener {
    http: Client,
    query: String,
    last_id: Option<String>,
    connection: Option<Response>,
    buffer: Vec<u8>,
}

impl Listener {
    /// One who asks with this query, from now on or behind this event.
    pub(crate) fn new(query: &str, last_id: Option<String>) -> Self {
        let (connection, buffer) = (None, Vec::new());
        Self { http: super::wire::client(), query: query.to_owned(), last_id, connection, buffer }
    }

    /// The id that it comes back with.
    pub(crate) fn last_id(&self) -> Option<String> {
        self.last_id.clone()
    }

    /// Connects, from where it was; the status, where it is not let in.
    pub(crate) async fn connect(&mut self, addr: SocketAddr) -> Result<(), u16> {
        let url = format!("http://{addr}/api/whatsapp/events{}", self.query);
        let request = self.http.get(url).bearer_auth(API_KEY);
        let request = match &self.last_id {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        };
        let response = request.send().await.map_err(|_| 0_u16)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(status);
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        self.connection = Some(response);
        Ok(())
    }

    /// Loses the connection, and whatever of an event has come.
    pub(crate) fn cut(&mut self) {
        self.connection = None;
        self.buffer.clear();
    }

    /// The next event or sign of life; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let frame: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Some(self.understand(&String::from_utf8(frame).unwrap()));
            }
            let chunk = self.connection.as_mut()?.chunk().await;
            match chunk {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                Ok(None) | Err(_) => {
                    self.cut();
                    return None;
                }
            }
        }
    }

    /// The next event.
    pub(crate) async fn next_event(&mut self) -> Option<Told> {
        loop {
            let told = self.next().await?;
            if !told.data.is_null() {
                return Some(told);
            }
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some(told) = self.next_event().await {
            all.push(told);
        }
        all
    }

    fn understand(&mut self, frame: &str) -> Told {
        let mut told = Told { id: None, event: "message".to_owned(), data: Value::Null };
        for line in frame.lines() {
            let (field, value) = line.split_once(": ").unwrap_or((line, ""));
            match field {
                "id" => told.id = Some(value.to_owned()),
                "event" => value.clone_into(&mut told.event),
                "data" => told.data = serde_json::from_str(value).unwrap(),
                "" | "retry" => {}
                other => panic!("{other} is no field of an event"),
            }
        }
        if told.id.is_some() {
            self.last_id.clone_from(&told.id);
        }
        told
    }
}

/// All that the app has told so far behind this event, or from the very beginning.
pub(crate) async fn all_since(addr: SocketAddr, query: &str, last_id: &str) -> Vec<Told> {
    let mut listener = Listener::new(&format!("?follow=false{query}"), Some(last_id.to_owned()));
    listener.connect(addr).await.unwrap();
    listener.rest().await
}

/// Before everything.
pub(crate) const BEGINNING: &str = "ntc_0-0";
