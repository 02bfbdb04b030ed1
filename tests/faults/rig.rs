//! The three services as processes under load. Each row can stop and restart any of them.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use harness::{
    Broker, Elasticsearch, LogPlace, Process, Receiver, Redis, Reply, Scratch, Service, Signal, Vhost,
    eventually, free_port,
};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::document::{self, Row};
use crate::ledger::{Figures, Ledger};
use crate::load::Load;
use crate::log::Log;

/// Requests per second.
pub(crate) const RATE: u32 = 200;

/// How long a row runs before its fault.
const CALM: Duration = Duration::from_secs(5);

/// How long the load continues after everything is healthy again.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// How long a program may take to start, and the system to recover from a fault.
const WAIT: Duration = Duration::from_mins(2);

/// How often the audit log is read.
const LOOK: Duration = Duration::from_millis(100);

/// The settings that differ from row to row.
pub(crate) struct Plan {
    /// The addresses of a program's peers, if not the usual ones.
    pub(crate) api_broker: Option<u16>,
    pub(crate) worker_broker: Option<u16>,
    pub(crate) acl_url: Option<String>,
    pub(crate) log: AuditLog,
    /// `AUTHORIZATION_TIMEOUT_SEC`. By default it is long enough for requests to outlive a fault.
    pub(crate) authorization_timeout: u32,
    pub(crate) callback_timeout: u32,
    pub(crate) concurrency: u32,
    pub(crate) spool: Option<PathBuf>,
    /// Additional variables of the worker and the API.
    pub(crate) worker: Vec<(&'static str, String)>,
    pub(crate) api: Vec<(&'static str, String)>,
    pub(crate) rate: u32,
    /// Where the API, the worker and the ACL service write their logs, at full verbosity, if not to the test.
    pub(crate) log_places: Option<[LogPlace; 3]>,
}

/// Where the worker writes its audit records.
pub(crate) enum AuditLog {
    /// A Redis of the rig's own.
    Redis,
    /// This Redis, reached through this port.
    RedisAt(u16, Redis),
    /// Elasticsearch, configured by these variables and read at this address.
    Elasticsearch(Vec<(&'static str, String)>, String),
}

impl AuditLog {
    pub(crate) fn elasticsearch(node: &Elasticsearch) -> Self {
        Self::Elasticsearch(node.variables().to_vec(), node.node_address())
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            api_broker: None,
            worker_broker: None,
            acl_url: None,
            log: AuditLog::Redis,
            authorization_timeout: 300,
            callback_timeout: 5,
            concurrency: 100,
            spool: None,
            worker: Vec::new(),
            api: Vec::new(),
            rate: RATE,
            log_places: None,
        }
    }
}

/// The fields are dropped in this order: clients before their servers.
pub(crate) struct Rig {
    pub(crate) ledger: Arc<Ledger>,
    load: Option<Load>,
    began: Instant,
    ended: Option<Instant>,
    watcher: JoinSet<()>,
    pub(crate) api: Program,
    pub(crate) worker: Program,
    pub(crate) acl: Program,
    pub(crate) allow_list: Redis,
    /// `None` if the log is Elasticsearch.
    pub(crate) log_server: Option<Redis>,
    log: Log,
    pub(crate) callbacks: Callbacks,
    pub(crate) vhost: Vhost,
    rate: u32,
    _directory: Scratch,
}

/// Callback receivers that answer 200 until configured otherwise.
pub(crate) struct Callbacks {
    receiver: Receiver,
    reply: Arc<RwLock<Reply>>,
}

impl Callbacks {
    async fn start(ledger: &Arc<Ledger>) -> Self {
        let reply = Arc::new(RwLock::new(Reply::status(200)));
        let (ledger, answer) = (Arc::clone(ledger), Arc::clone(&reply));
        let receiver = Receiver::start_with(move |request| {
            // A redirected request does not count as a callback of its own.
            if request.path() == "/" {
                ledger.called_back(request);
            }
            answer.read().unwrap_or_else(PoisonError::into_inner).clone()
        })
        .await;
        Self { receiver, reply }
    }

    /// Answers with `reply` from now on.
    pub(crate) fn answer(&self, reply: Reply) {
        *self.reply.write().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.receiver.url(path)
    }

    pub(crate) fn forget(&self) {
        self.receiver.clear();
    }
}

impl Rig {
    pub(crate) async fn start(vhost: Vhost, plan: Plan) -> Self {
        let ledger = Arc::new(Ledger::default());
        let callbacks = Callbacks::start(&ledger).await;
        let directory = Scratch::new();
        let allow_list = Redis::start().await;
        let [api_log, worker_log, acl_log] =
            plan.log_places.map_or([const { None }; 3], |logs| logs.map(Some));

        let mut acl = Program::new(
            env!("CARGO_BIN_EXE_test-acl-service"),
            Ready::Answers(free_port()),
        );
        acl.variables(allow_list.variables());
        acl.log_to(acl_log);
        acl.start().await;

        let mut api = Program::new(env!("CARGO_BIN_EXE_test-public-api"), Ready::Answers(free_port()));
        let broker =
            |port: Option<u16>| port.map_or_else(|| vhost.amqp_url(), |port| vhost.amqp_url_at(port));
        api.variables([
            ("BROKER_URL", broker(plan.api_broker)),
            (
                "AUTHORIZATION_TIMEOUT_SEC",
                plan.authorization_timeout.to_string(),
            ),
        ]);
        api.variables(plan.api);
        api.log_to(api_log);
        api.start().await;

        let ready = match &worker_log {
            None => Ready::Says(" ready."),
            Some(_) => Ready::ByItself,
        };
        let mut worker = Program::new(env!("CARGO_BIN_EXE_test-worker"), ready);
        let concurrency = format!("--concurrency={}", plan.concurrency);
        worker.arguments = [
            "-A",
            "authorization_worker.tasks",
            "worker",
            "--loglevel=WARNING",
            &concurrency,
        ]
        .map(str::to_owned)
        .to_vec();
        let spool = plan.spool.unwrap_or_else(|| directory.join("spool.db"));
        worker.variables([
            // The log line of each task is of no interest to any test.
            ("RUST_LOG", "info,celery_runtime::worker::log=error".to_owned()),
            ("BROKER_URL", broker(plan.worker_broker)),
            (
                "AUTHORIZATION_SERVICE_URL",
                plan.acl_url.unwrap_or_else(|| acl.url()),
            ),
            ("CALLBACK_TIMEOUT_SEC", plan.callback_timeout.to_string()),
            ("AUDIT_SPOOL", spool.display().to_string()),
        ]);
        let (log, log_server) = match plan.log {
            AuditLog::Redis => {
                let redis = Redis::start_durable().await;
                worker.variables(redis.variables());
                (Log::Redis(redis.audit_keys()), Some(redis))
            }
            AuditLog::RedisAt(port, redis) => {
                worker.variables([
                    ("REDIS_HOST", "127.0.0.1".to_owned()),
                    ("REDIS_PORT", port.to_string()),
                ]);
                (Log::Redis(redis.audit_keys()), Some(redis))
            }
            AuditLog::Elasticsearch(variables, node) => {
                worker.variables(variables);
                (Log::Elasticsearch(node), None)
            }
        };
        worker.variables(plan.worker);
        worker.log_to(worker_log);
        worker.start().await;

        Self {
            watcher: watch(&ledger, &log),
            ledger,
            load: None,
            began: Instant::now(),
            ended: None,
            api,
            worker,
            acl,
            allow_list,
            log_server,
            log,
            callbacks,
            vhost,
            rate: plan.rate,
            _directory: directory,
        }
    }

    /// Starts a rig on the broker that rows share.
    pub(crate) async fn shared(plan: Plan) -> Self {
        Self::start(Broker::shared().await.vhost("fault").await, plan).await
    }

    /// Does the same as [`Rig::shared`], without a watcher that reads the log.
    pub(crate) async fn unwatched(plan: Plan) -> Self {
        let mut rig = Self::shared(plan).await;
        rig.watcher.abort_all();
        rig
    }

    /// Starts the load and checks that everything is healthy for a while.
    pub(crate) async fn calm(&mut self) {
        self.load();
        sleep(CALM).await;
        let figures = eventually("callbacks and records", WAIT, || async {
            let figures = self.ledger.figures();
            if figures.called_back > 0 && figures.logged > 0 {
                Ok(figures)
            } else {
                Err(format!("{figures:?}"))
            }
        })
        .await;
        assert_eq!(
            figures.refused + figures.unanswered,
            0,
            "before the fault: {figures:?}"
        );
    }

    pub(crate) fn load(&mut self) {
        self.began = Instant::now();
        let callback = self.callbacks.url("/");
        self.load = Some(Load::start(&self.ledger, self.api.url(), callback, self.rate));
    }

    /// Sends ten times the load for a second.
    pub(crate) async fn burst(&self) {
        let load = Load::start(
            &self.ledger,
            self.api.url(),
            self.callbacks.url("/"),
            10 * self.rate,
        );
        sleep(Duration::from_secs(1)).await;
        load.end().await;
    }

    pub(crate) async fn end_load(&mut self) {
        self.load.take().unwrap().end().await;
    }

    /// The number of records in Redis.
    pub(crate) async fn record_count(&self) -> Option<usize> {
        match &self.log {
            Log::Redis(keys) => keys.count().await,
            Log::Elasticsearch(_) => None,
        }
    }

    /// Notes the records in the log.
    pub(crate) async fn look(&self) {
        if let Some(records) = self.log.stations().await {
            self.ledger.logged(&records);
        }
    }

    /// Applies a fault to the log of each program.
    pub(crate) fn log_places(&self, fault: impl Fn(&LogPlace)) {
        for program in [&self.api, &self.worker, &self.acl] {
            fault(program.log_place.as_ref().unwrap());
        }
    }

    /// The text read so far from the log of the API (0), the worker (1) or the ACL service (2).
    pub(crate) fn log_text(&self, index: usize) -> String {
        let program = [&self.api, &self.worker, &self.acl][index];
        program.log_place.as_ref().unwrap().text()
    }

    /// Asserts that no program has exited.
    pub(crate) fn all_live(&self) {
        for program in [&self.api, &self.worker, &self.acl] {
            assert_eq!(program.process().try_exit(), None, "{}", program.path.display());
        }
    }

    /// Marks the end of the fault.
    pub(crate) fn over(&mut self) {
        self.ended = Some(Instant::now());
    }

    pub(crate) fn log_server(&mut self) -> &mut Redis {
        self.log_server.as_mut().unwrap()
    }

    /// Waits until everything is healthy again, ends the load, and counts.
    pub(crate) async fn settle(self, fault: &str) -> Figures {
        self.settle_but_for(fault, 0).await
    }

    /// Does the same as [`Rig::settle`] when the fault itself may have lost up to `taken` accepted requests.
    pub(crate) async fn settle_but_for(mut self, fault: &str, taken: usize) -> Figures {
        let end = self.ended.unwrap();
        let recovery = eventually(
            format!("{fault}: a request called back and logged"),
            WAIT,
            || async {
                if let Some(recovery) = self.ledger.recovery(end) {
                    return Ok(recovery);
                }
                let depth = self.vhost.find_queue("celery").await;
                Err(format!("{depth:?}, {:?}", self.ledger.figures()))
            },
        )
        .await;
        sleep(AFTERWARDS).await;
        sleep(document::seconds().saturating_sub(self.began.elapsed())).await;
        let load = self.began.elapsed();
        self.end_load().await;
        let settled = Instant::now();
        loop {
            let figures = self.ledger.figures();
            let depth = self.vhost.queue("celery").await;
            let is_done = figures.lost <= taken && depth.ready + depth.unacked == 0;
            if is_done || settled.elapsed() > WAIT {
                println!(
                    "{fault}: {depth:?} {:.1} s after the load",
                    settled.elapsed().as_secs_f64()
                );
                break;
            }
            sleep(LOOK).await;
        }
        // Duplicates arrive within this time, as does the watcher's last read.
        sleep(Duration::from_secs(2)).await;
        self.look().await;
        let mut figures = self.ledger.figures();
        figures.deleted = figures.lost.min(taken);
        figures.lost -= figures.deleted;
        println!(
            "{fault}: {figures:?}, well again after {:.1} s, load for {:.0} s",
            recovery.as_secs_f64(),
            load.as_secs_f64()
        );
        for program in [&self.api, &self.worker, &self.acl] {
            program.print();
        }
        assert!(load >= document::seconds());
        assert!(figures.others.is_empty(), "{fault}: {figures:?}");
        document::settle(&Row::new(fault, &figures, recovery));
        figures
    }
}

/// Reads the log periodically and notes its records.
fn watch(ledger: &Arc<Ledger>, log: &Log) -> JoinSet<()> {
    let (ledger, log) = (Arc::clone(ledger), log.clone());
    let mut watcher = JoinSet::new();
    watcher.spawn(async move {
        loop {
            let looked = Instant::now();
            let Some(records) = log.stations().await else {
                sleep(LOOK).await;
                continue;
            };
            ledger.logged(&records);
            // If the log is slow to read, read it less often.
            sleep(LOOK.max(looked.elapsed() * 4)).await;
        }
    });
    watcher
}

/// A program that can be killed and restarted at the same address.
pub(crate) struct Program {
    path: PathBuf,
    pub(crate) arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
    ready: Ready,
    log_place: Option<LogPlace>,
    running: Option<Process>,
}

/// The sign that a program is up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ready {
    /// It answers HTTP on this port.
    Answers(u16),
    /// It prints this text.
    Says(&'static str),
    /// No sign. The caller checks for itself.
    ByItself,
}

impl Program {
    /// `built` is the program as built for this test. If `FAULT_PROGRAMS` names a folder, the program of the
    /// same name there is started instead, for example a release build.
    fn new(built: &'static str, ready: Ready) -> Self {
        let built = PathBuf::from(built);
        let folder = std::env::var_os("FAULT_PROGRAMS").map(PathBuf::from);
        let mut program = Self {
            path: folder.map_or(built.clone(), |folder| folder.join(built.file_name().unwrap())),
            arguments: Vec::new(),
            variables: Vec::new(),
            ready,
            log_place: None,
            running: None,
        };
        if let Ready::Answers(port) = ready {
            program.variables([("FLASK_RUN_PORT", port.to_string())]);
        }
        program
    }

    fn variables(&mut self, variables: impl IntoIterator<Item = (&'static str, String)>) {
        self.variables.extend(variables);
    }

    /// Makes the program log everything it can to `place`, if there is one.
    fn log_to(&mut self, place: Option<LogPlace>) {
        if place.is_some() {
            self.variables([("RUST_LOG", "debug".to_owned()), ("ACCESS_LOG", "on".to_owned())]);
        }
        self.log_place = place;
    }

    pub(crate) async fn start(&mut self) {
        assert!(self.running.is_none());
        let process = match &self.log_place {
            None => Process::spawn(&self.path, &self.arguments, self.variables.clone()),
            Some(place) => {
                let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
                let (shell, words) = place.command(&self.path, &arguments);
                Process::spawn(shell, words, self.variables.clone())
            }
        };
        self.running = Some(match self.ready {
            Ready::Answers(port) => Service::start(process, port).await.process,
            Ready::Says(text) => {
                process.wait_for_line(text, WAIT).await;
                process
            }
            Ready::ByItself => process,
        });
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    /// Sends SIGTERM and waits for the program to exit.
    pub(crate) async fn stop(&mut self) {
        let process = self.running.take().unwrap();
        process.signal(Signal::TERM);
        let status = process.wait_exit(WAIT).await;
        assert!(status.success(), "{status}");
    }

    pub(crate) fn process(&self) -> &Process {
        self.running.as_ref().unwrap()
    }

    /// Prints the log, without the banner.
    fn print(&self) {
        let lines = self.process().lines();
        let said = lines
            .iter()
            .filter(|line| line.contains(": ") || line.contains("  "));
        for line in said.filter(|line| ["INFO", "WARN", "ERROR"].iter().any(|level| line.contains(level))) {
            println!("  {line}");
        }
    }

    /// The base URL of a program that answers HTTP.
    pub(crate) fn url(&self) -> String {
        let Ready::Answers(port) = self.ready else {
            panic!("{} does not answer HTTP", self.path.display())
        };
        format!("http://127.0.0.1:{port}")
    }

    /// Host and port of [`Program::url`].
    pub(crate) fn address(&self) -> String {
        self.url().replace("http://", "")
    }
}
