//! One run: people write, Meta delivers and takes, the program works, stumbles, dies and is started again, and in the end
//! everything comes to rest. The program is the real one from the door's handler to the request to Meta, on one thread; what
//! happens next is the driver's choice, and the driver's choices are the seed's.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::Arbiter;
use actix_web::rt::{System, spawn};
use actix_web::{App as HttpApp, test, web};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use switchboard::api;
use switchboard::app::{Core, Parts, Simulation};
use switchboard::clock::{Clock, Hand, MINUTE, Millis, duration_ms};
use switchboard::config::{Config, DatabaseUrl, Number, Secret};
use switchboard::domain::window::WINDOW;
use switchboard::flow::{Flow, Functions};
use switchboard::webhook;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::dice::Dice;
use crate::fate::{Broken, Fate};
use crate::judge;
use crate::ledger::Ledger;
use crate::meta::{Line, Meta, NUMBER, Shown};
use crate::operator::{self, Operator};
use crate::silence;
use crate::stage::{Stage, block_on};

/// When every run begins: 22 November 2026.
const START: Millis = 1_795_337_400_000;
const SECRET: &str = "app-secret";
/// People in one run, and what each says, at the most.
const PEOPLE_MAX: usize = 4;
const TEXTS_MAX: usize = 5;
/// What one webhook holds, at the most.
const MESSAGES_MAX: usize = 4;
/// What the driver does before it lets everything come to rest.
const STEPS_MAX: usize = 140;
/// Leaps of time after which everything has to be at rest.
const LEAPS_MAX: usize = 150;
const LEAP: Duration = Duration::from_mins(11);
/// Rounds of the scheduler after which nothing moves any more unless somebody lets it.
const ROUNDS_ALL: usize = 24;

/// What all runs of one thread share.
pub(crate) struct Place {
    /// Where databases are put.
    pub(crate) folder: PathBuf,
    /// A database with every migration applied, as a file.
    pub(crate) template: Arc<[u8]>,
    /// The runtime of the connections.
    pub(crate) database: Handle,
    flow: Arc<Flow>,
    functions: Functions,
}

thread_local! {
    /// Texts at which the flow has panicked in this run.
    static STUMBLED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A run that came to rest, and what is to be said about it.
pub(crate) struct Report {
    pub(crate) trace: String,
    pub(crate) wrongs: Vec<String>,
    pub(crate) deaths: usize,
    pub(crate) doubled: usize,
}

/// What people are going to say, and what they show of themselves with it.
struct Script(Vec<Vec<(String, Shown)>>);

impl Script {
    fn of(fate: &Fate) -> Self {
        let two_ids = fate.temper.two_ids;
        fate.throw(|dice| {
            let people = 1 + dice.below(PEOPLE_MAX);
            let texts = |person: usize, dice: &mut Dice| -> Vec<(String, Shown)> {
                let shows: &[Shown] = if dice.chance(two_ids) {
                    &[Shown::Phone, Shown::User, Shown::Both]
                } else {
                    &[Shown::Phone]
                };
                (0..1 + dice.below(TEXTS_MAX))
                    .map(|number| {
                        let kinds = ["word", "word", "word", "note", "tell", "ticket", "stumble", "poison"];
                        (format!("{} {person}.{number}", dice.pick(&kinds)), *dice.pick(shows))
                    })
                    .collect()
            };
            let mut script: Vec<_> = (0..people).map(|person| texts(person, dice)).collect();
            silence::put_words(fate.seed, &mut script);
            Self(script)
        })
    }
}

/// How the program is reached: a request, and the status of the answer.
pub(crate) type Door = Rc<dyn Fn(test::TestRequest) -> Pin<Box<dyn Future<Output = u16>>>>;

struct World<'a> {
    place: &'a Place,
    fate: Arc<Fate>,
    meta: Arc<Meta>,
    operator: Operator,
    clock: Clock,
    hand: Hand,
    config: Config,
    script: Script,
    written: Vec<usize>,
    steps: usize,
    deaths: usize,
}

enum End {
    Died,
    AtRest,
    Restless(String),
}

/// Runs the whole life of `seed`.
pub(crate) fn run(seed: u64, place: &Place, broken: Option<Broken>) -> Report {
    let fate = Arc::new(Fate::new(seed, broken));
    STUMBLED.take();
    let file = place.folder.join(format!("{seed}.db"));
    std::fs::write(&file, &place.template).unwrap();
    let (clock, hand) = Clock::manual_with_time_outs(START);
    let script = Script::of(&fate);
    let mut world = World {
        place,
        meta: Arc::new(Meta::new(Arc::clone(&fate))),
        operator: Operator::new(Arc::clone(&fate)),
        clock,
        hand,
        config: config(&fate, &file, &place.folder),
        written: vec![0; script.0.len()],
        script,
        steps: 0,
        deaths: 0,
        fate,
    };
    let mut wrongs = world.live();
    let ledger = world.ledger();
    let window = WINDOW - duration_ms(world.config.limits.window_margin);
    let verdict = judge::judge(&world.meta, &world.operator, &ledger, window);
    wrongs.extend(verdict.wrongs);
    ledger.close();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
    Report { trace: world.fate.trace(), wrongs, deaths: world.deaths, doubled: verdict.doubled }
}

fn config(fate: &Fate, file: &Path, folder: &Path) -> Config {
    let mut config = Config::default();
    config.database.url = DatabaseUrl::new(format!("sqlite://{}?mode=rw", file.display())).unwrap();
    config.database.migrate = false;
    config.database.reader_connections = 1;
    config.media.url = folder.join("media").display().to_string();
    config.meta.app_secret = Secret::new(SECRET);
    config.meta.verify_token = Secret::new("verify");
    config.api_key = Secret::new(operator::KEY);
    config.meta.graph_url = "http://127.0.0.1:9".to_owned();
    config.limits.ambiguous_grace = Duration::from_mins(2);
    config.limits.turn_attempts = 16;
    config.limits.send_attempts = 50;
    config.limits.sweep_interval = Duration::from_secs(30);
    config.limits.sweep_age = Duration::from_secs(30);
    config.limits.conversation_idle = Duration::from_secs(60);
    fate.throw(|dice| {
        config.limits.active_conversations = *dice.pick(&[1, 2, 1_000]);
        // A turn that takes longer is begun again, while the commit of the first one may still happen.
        config.limits.turn_timeout = Duration::from_secs(*dice.pick(&[25, 100, 600]));
        // Nearly all of the 24 hours: then what is late comes too late.
        let window = *dice.pick(&[WINDOW - MINUTE, WINDOW - MINUTE, 15 * MINUTE, 2 * MINUTE]);
        config.limits.window_margin = Duration::from_millis((WINDOW - window).unsigned_abs());
        config.pacing.pair = dice.chance(30);
        config.limits.unfinished_events = *dice.pick(&[MESSAGES_MAX, 1_000]);
        config.database.writer_batch = *dice.pick(&[1, 4, 64]);
        let messages_per_second = *dice.pick(&[0, 0, 2]);
        config.numbers = vec![Number {
            phone_number_id: NUMBER.to_owned(),
            business_account_id: None,
            display_phone_number: None,
            token: Secret::new("token"),
            flow: None,
            messages_per_second,
        }];
    });
    config
}

impl World<'_> {
    /// One incarnation of the program after the other, until everything is at rest.
    fn live(&mut self) -> Vec<String> {
        loop {
            self.fate.revive();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let system = System::with_tokio_rt(|| runtime);
            let end = system.block_on(self.incarnation());
            let there = self.place.database.enter();
            drop(system);
            drop(there);
            match end {
                End::Died => {
                    self.deaths += 1;
                    self.meta.lose_the_program();
                    self.operator.lose_the_program();
                }
                End::AtRest => return Vec::new(),
                End::Restless(what) => return vec![what],
            }
        }
    }

    async fn incarnation(&mut self) -> End {
        let opening: Rc<RefCell<Option<anyhow::Result<Core>>>> = Rc::default();
        let (opened, config, parts) = (Rc::clone(&opening), self.config.clone(), self.parts());
        spawn(async move {
            let here = Arbiter::current();
            let core = Core::start(&config, parts, vec![here.clone()], &here).await;
            *opened.borrow_mut() = Some(core);
        });
        let mut program: Option<(Core, Door)> = None;
        loop {
            if self.fate.is_dead() {
                return End::Died;
            }
            let opened = opening.borrow_mut().take();
            match opened {
                None => {}
                Some(Ok(core)) => {
                    self.fate.note(format_args!("is open"));
                    let door = door(&core, &self.config).await;
                    program = Some((core, door));
                }
                Some(Err(error)) => {
                    self.fate.die(&format!("it does not start: {error:#}"));
                    return End::Died;
                }
            }
            if self.fate.is_calm() {
                match &program {
                    Some((core, door)) => return self.come_to_rest(core, door).await,
                    None => rounds(ROUNDS_ALL).await,
                }
                continue;
            }
            self.step(program.as_ref().map(|(_, door)| door)).await;
            self.steps += 1;
            let is_said = self.written.iter().zip(&self.script.0).all(|(done, texts)| *done == texts.len());
            if self.steps >= STEPS_MAX
                || (is_said && self.steps > STEPS_MAX / 2 && self.meta.is_all_delivered())
            {
                self.fate.calm_down();
            }
        }
    }

    fn parts(&self) -> Parts {
        let stage = Stage { fate: Arc::clone(&self.fate), database: self.place.database.clone() };
        let simulation =
            Simulation { director: Arc::new(stage), wire: Arc::new(Line(Arc::clone(&self.meta))) };
        Parts {
            clock: self.clock.clone(),
            functions: self.place.functions.clone(),
            simulation: Some(simulation),
            ..Parts::new(Arc::clone(&self.place.flow))
        }
    }

    /// Something happens.
    async fn step(&mut self, door: Option<&Door>) {
        match self.fate.throw(|dice| dice.below(100)) {
            0..22 => self.write(),
            22..27 => self.operator.step(&self.meta, door),
            27..55 => self.deliver(door),
            55..80 => {
                if !self.fate.let_one_go() {
                    self.deliver(door);
                }
            }
            80..99 => {
                let by = self.fate.throw(|dice| {
                    *dice.pick(&[1, 50, 300, 1_000, 2_000, 6_000, 31_000, 61_000, 125_000, 650_000])
                });
                self.fate.note(format_args!("{by} ms pass"));
                self.hand.advance(Duration::from_millis(by));
            }
            _ => {
                if self.fate.is_mortal() {
                    self.fate.die("between two steps");
                }
            }
        }
        let some = self.fate.throw(|dice| *dice.pick(&[0, 1, 2, 4, ROUNDS_ALL]));
        rounds(some).await;
    }

    /// Somebody who has something left to say says it.
    fn write(&mut self) {
        let able: Vec<usize> =
            (0..self.written.len()).filter(|i| self.written[*i] < self.script.0[*i].len()).collect();
        if able.is_empty() {
            return;
        }
        let person = self.fate.throw(|dice| *dice.pick(&able));
        let number = self.written[person];
        let (text, shown) = &self.script.0[person][number];
        self.meta.write(person, number, text, *shown);
        self.written[person] += 1;
    }

    /// Meta posts a webhook: some of what it has to tell, now and then something that it told before.
    fn deliver(&self, door: Option<&Door>) {
        let mut open = self.meta.deliverable();
        let before = self.meta.delivered();
        let parcels: Vec<usize> = self.fate.throw(|dice| {
            let mut parcels = Vec::new();
            for _ in 0..1 + dice.below(MESSAGES_MAX) {
                if !before.is_empty() && dice.chance(self.fate.temper.repeat) {
                    parcels.push(*dice.pick(&before));
                } else if !open.is_empty() {
                    // Older ones first, mostly.
                    let place = if dice.chance(60) { 0 } else { dice.below(open.len()) };
                    parcels.push(open.remove(place));
                }
            }
            parcels
        });
        if !parcels.is_empty() {
            self.post(door, parcels);
        }
    }

    fn post(&self, door: Option<&Door>, parcels: Vec<usize>) {
        let shown = format!("{parcels:?}");
        let (number, body) = self.meta.post(parcels);
        self.fate.note(format_args!("webhook {number} is posted: {shown}"));
        let Some(door) = door else { return self.meta.answered(number, None) };
        let request = test::TestRequest::post()
            .uri(webhook::PATH)
            .insert_header(("X-Hub-Signature-256", format!("sha256={}", sign(&body))))
            .set_payload(body);
        let (answer, meta) = (door(request), Arc::clone(&self.meta));
        let answers_first = self.fate.broken == Some(Broken::AnswersFirst);
        if answers_first {
            meta.answered(number, Some(200));
        }
        spawn(async move {
            let status = answer.await;
            if !answers_first && !meta.has_lost_the_program() {
                meta.answered(number, Some(status));
            }
        });
    }

    /// Nothing goes wrong any more, and time leaps until there is nothing left to do.
    async fn come_to_rest(&mut self, core: &Core, door: &Door) -> End {
        while self.written.iter().zip(&self.script.0).any(|(done, texts)| *done < texts.len()) {
            self.write();
        }
        let ledger = self.ledger();
        let end = self.leap(core, door, &ledger).await;
        ledger.close();
        end
    }

    async fn leap(&self, core: &Core, door: &Door, ledger: &Ledger) -> End {
        for _ in 0..LEAPS_MAX {
            rounds(ROUNDS_ALL).await;
            let open = self.meta.deliverable();
            self.operator.insist(door);
            for some in open.chunks(MESSAGES_MAX) {
                self.post(Some(door), some.to_vec());
                rounds(ROUNDS_ALL).await;
            }
            if self.meta.is_all_delivered() && self.operator.is_content() && ledger.left_over().is_empty() {
                return self.look_at_what_is_left(core).await;
            }
            self.hand.advance(LEAP);
        }
        End::Restless(format!("it does not come to rest: {}", ledger.left_over().join(", ")))
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(self.config.database.url.expose(), &self.place.database)
    }

    /// At rest, nobody is in memory any more, and nothing is in hand. Whoever rested before a turn that somebody else has ended
    /// meanwhile finds that out with the first leap, and leaves with the second.
    async fn look_at_what_is_left(&self, core: &Core) -> End {
        for _ in 0..2 {
            self.hand.advance(LEAP);
            rounds(ROUNDS_ALL).await;
        }
        let (open, active) = (core.store.unfinished(), core.active_conversations().await);
        if (open, active) != (0, 0) {
            return End::Restless(format!(
                "at rest, {open} events are counted as unfinished and {active} conversations are in memory"
            ));
        }
        End::AtRest
    }
}

async fn door(core: &Core, config: &Config) -> Door {
    let door = core.door(config).unwrap();
    let mount = move |config: &mut web::ServiceConfig| webhook::mount(config, door);
    let webhooks = Rc::new(test::init_service(HttpApp::new().configure(mount)).await);
    // Its document takes longer to make than most runs: only those make it in which somebody asks.
    let deps = core.api(config);
    let asked = Rc::new(OnceCell::new());
    Rc::new(move |request| {
        let (webhooks, asked, deps) = (Rc::clone(&webhooks), Rc::clone(&asked), deps.clone());
        Box::pin(async move {
            let request = request.to_request();
            if request.path() == webhook::PATH {
                return test::call_service(&*webhooks, request).await.status().as_u16();
            }
            let api = asked
                .get_or_init(|| test::init_service(HttpApp::new().configure(api::configure(deps))))
                .await;
            test::call_service(api, request).await.status().as_u16()
        })
    })
}

fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lets everybody else go on for so many rounds of the scheduler.
async fn rounds(number: usize) {
    for _ in 0..number {
        tokio::task::yield_now().await;
    }
}

/// Prepares what the runs of a thread share.
pub(crate) fn place(database: &Handle) -> Place {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = parent.join(format!("switchboard-sim-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("template.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let there = database.enter();
    block_on(switchboard::store::migrate(&url)).unwrap();
    drop(there);
    let template = std::fs::read(&file).unwrap().into();
    let mut functions = Functions::default();
    functions
        .add("heed", |arguments| heed(arguments.first().and_then(|text| text.as_str()).unwrap_or_default()));
    let flow = Flow::parse_with(include_str!("flow.yaml"), "flow.yaml", &functions).unwrap().into();
    Place { folder, template, database: database.clone(), flow, functions }
}

/// What the flow does with a text: some are too much for it, the first time or every time.
fn heed(text: &str) -> Result<serde_json::Value, String> {
    let stumbles = text.starts_with("stumble")
        && STUMBLED.with_borrow_mut(|stumbled| {
            let known = stumbled.iter().any(|known| known == text);
            stumbled.push(text.to_owned());
            !known
        });
    assert!(!stumbles && !text.starts_with("poison"), "simulated: {text}");
    Ok(json!(text))
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
