//! PyWa, a client of the Cloud API that knows nothing of ours, against the local Meta: it sends every kind of message that it
//! has, uploads a picture, receives webhooks and accepts their signatures, and refuses those of somebody else. What passes here
//! is Meta's wire as others understand it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard::sandbox::{Entry, LocalMeta, Settings, Side, Status};

use crate::support::{PATIENCE, run, venv, wire};

/// The package and its version, with what it serves webhooks with.
const PACKAGE: &str = "pywa[fastapi]==4.5.0";
/// Set by `.ci/run`: there, a missing package is a failure.
const REQUIRED: &str = "SWITCHBOARD_TEST_PYWA";
const ANN: &str = "4915112345001";

/// The bot, and what it tells.
struct Bot {
    child: Child,
    told: Receiver<Value>,
}

impl Bot {
    fn start(python: &Path, meta: &LocalMeta) -> Self {
        let settings = meta.settings();
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/bot_with_pywa.py"))
            .env("GRAPH_URL", meta.graph_url())
            .env("PHONE_ID", &settings.phone_number_id)
            .env("ACCOUNT_ID", &settings.business_account_id)
            .env("TOKEN", &settings.token)
            .env("APP_SECRET", &settings.app_secret)
            .env("VERIFY_TOKEN", &settings.verify_token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody listens when the test has ended.
                let _ = tell.send(serde_json::from_str(&line).unwrap_or_else(|_| json!({"what": line})));
            }
        });
        Self { child, told }
    }

    /// The next thing of this kind; statuses are told of in between.
    fn hears(&self, what: &str) -> Value {
        loop {
            let told = self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("PyWa told of no {what}"));
            if told["what"] == what {
                return told;
            }
            assert_eq!(told["what"], "status", "instead of {what}: {told}");
        }
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bot_of_somebody_elses_takes_the_local_meta_for_meta() {
    let Some(python) = venv::program(PACKAGE, "python", REQUIRED) else { return };
    run(async {
        let settings = Settings::made_up("127.0.0.1:0".parse().unwrap());
        let meta = LocalMeta::start(settings, Clock::system()).await.unwrap();
        let bot = Bot::start(&python, &meta);
        let url = format!("http://127.0.0.1:{}/webhook", bot.hears("ready")["port"]);
        meta.set_webhook_url(&url).unwrap();
        crate::support::until("the verification to pass", async || {
            meta.verify_webhook().await.is_ok_and(|passed| passed).then_some(())
        })
        .await;

        let said = meta.say(ANN, "Grüße / hi").unwrap();
        let heard = bot.hears("message");
        assert_eq!((&heard["text"], &heard["name"]), (&json!("Grüße / hi"), &json!("Ada")));
        bot.hears("answered");
        let received: Vec<Entry> =
            meta.transcript(ANN).into_iter().filter(|entry| entry.from == Side::Business).collect();
        let kinds: Vec<&str> = received.iter().map(|entry| entry.content.kind.as_str()).collect();
        assert_eq!(kinds, ["reaction", "text", "button", "list", "template", "image"]);
        assert_eq!(received[1].context.as_deref(), Some(&*said), "the text quotes");
        assert_eq!(received[4].content.text, "Hello Ada, your order ORD-001 is ready.");
        assert_eq!(received[5].content.text, "A pixel");
        assert_eq!(meta.transcript(ANN)[0].status, Status::Read, "the read receipt");
        assert!(meta.requests().iter().all(|request| request.answered == Some(200)));

        meta.press(ANN, "yes").unwrap();
        assert_eq!(bot.hears("button"), json!({"what": "button", "data": "yes", "title": "Yes"}));
        meta.press(ANN, "two").unwrap();
        assert_eq!(bot.hears("row"), json!({"what": "row", "data": "two", "title": "Two"}));

        // Our signature is theirs; anybody else's is not.
        let http = wire::client();
        let body = wire::body(wire::NUMBER, &[wire::text(ANN, "wamid.stranger", "let me in")]);
        let forged = http.post(&url).header("X-Hub-Signature-256", format!("sha256={}", "0".repeat(64)));
        assert_eq!(forged.body(body.clone()).send().await.unwrap().status().as_u16(), 403);
        assert_eq!(meta.deliver(body).await, Ok(200));
        meta.stop().await;
    });
}
