//! A lab of a scenario: the real server on a temporary folder, with simulated devices and the contents of a [`Setup`].

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use store::{NewExperiment, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use wire::access::project::DEFAULT_PROJECT;
use wire::access::{Role, TokenKind};
use wire::experiment::record::{Outcome, Verdict};
use wire::{Author, DeviceId, RunId, RunState, RunSummary};
use worker::{WorkerConfig, run_with};

use super::device::{CLEAN, SimulatedDevice, Simulation};
use super::error::AgentBenchError;
use super::setup::{DEVICE, NOTES, SECOND, Setup, SetupRun, Then, spec};
use super::simulation::{Fault, uniform};
use crate::api::router::router;
use crate::lab::Lab;
use crate::lab::open::open_store;
use crate::lab::settings::Settings;
use crate::runs::{experiments, pools, queue, sweeps};
use crate::workers::{liveness, local};

/// How long a run may take to reach its state before the agent begins, and to end after it.
const WITHIN: Duration = Duration::from_secs(120);
/// Time between two reads of a state.
const EVERY: Duration = Duration::from_millis(20);
/// Name of the token that builds the lab, and of that of the agent.
const OWNER: &str = "owner";
const AGENT: &str = "agent";
/// Largest answer of a route that is read, bytes.
const ANSWER_BYTES: usize = 16 << 20;
/// Lines of a dataset, and words that they consist of.
const LINES: u64 = 1_500;
const WORDS: [&str; 12] =
    ["amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper", "kelp", "lagoon"];

/// A lab that an agent can act in.
pub(super) struct BenchLab {
    lab: Lab,
    pub(super) router: Router,
    pub(super) simulation: Arc<Simulation>,
    owner: String,
    /// Token of the agent.
    pub(super) token: String,
    /// Ids of the runs of the setup by their keys.
    pub(super) runs: BTreeMap<&'static str, RunId>,
    /// Keys of runs that never take another step.
    stuck: Vec<&'static str>,
    tasks: Vec<JoinHandle<()>>,
    _folder: TempDir,
}

impl BenchLab {
    /// Builds a lab, and waits until its runs are in their states.
    ///
    /// # Errors
    /// The folder or an address cannot be used, the server refuses a part of the setup, or a run does not reach its state.
    pub(super) async fn open(setup: &Setup) -> Result<Self, AgentBenchError> {
        let folder = tempfile::tempdir().map_err(AgentBenchError::Folder)?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = Settings { starts_workers: false, ..Settings::new(folder.path().to_owned(), listen) };
        let store = open_store(&settings).await?;
        let owner = store.add_token(OWNER, Role::Admin, TokenKind::Api, None).await?;
        let token = store.add_token(AGENT, Role::Steer, TokenKind::Api, None).await?;
        let planned: HashMap<_, _> = setup.runs.iter().map(|run| (run.seed, run.planned)).collect();
        let simulation = Simulation::new(planned, folder.path().join("checkpoints"));
        let lab = Lab::new(settings, store, None);
        pools::load_limits(&lab).await?;
        let router = router(lab.clone());
        let (runs, tasks) = (BTreeMap::new(), vec![]);
        let is_stuck = |run: &&SetupRun| matches!(run.planned.behaviour.fault, Fault::Stuck { .. });
        let stuck = setup.runs.iter().filter(is_stuck).map(|run| run.key).collect();
        let mut built = Self { lab, router, simulation, owner, token, runs, stuck, tasks, _folder: folder };
        built.serve().await?;
        built.fill(setup).await?;
        Ok(built)
    }

    pub(super) fn store(&self) -> &Store {
        self.lab.store()
    }

    /// Starts the tasks of a server, except the devices of this machine.
    async fn serve(&mut self) -> Result<(), AgentBenchError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(AgentBenchError::Listen)?;
        let url = format!("http://{}", listener.local_addr().map_err(AgentBenchError::Listen)?);
        local::write_address(&self.lab.settings.data, &url, &url).map_err(AgentBenchError::Folder)?;
        let (lab, service) = (&self.lab, self.router.clone().into_make_service_with_connect_info::<SocketAddr>());
        let served = async move {
            if let Err(error) = axum::serve(listener, service).await {
                tracing::error!("the server of the lab failed: {error}");
            }
        };
        self.tasks = vec![
            tokio::spawn(served),
            tokio::spawn(queue::serve(lab.clone())),
            tokio::spawn(lab.diagnosis.clone().serve()),
            tokio::spawn(sweeps::serve::serve(lab.clone())),
            tokio::spawn(experiments::serve(lab.clone())),
            tokio::spawn(liveness::watch(lab.workers.clone())),
        ];
        Ok(())
    }

    async fn fill(&mut self, setup: &Setup) -> Result<(), AgentBenchError> {
        for (id, flops_per_sec) in [(DEVICE, 2e9), (SECOND, 1e9)].into_iter().take(setup.devices.max(1)) {
            self.add_device(id, flops_per_sec).await?;
        }
        self.add_dataset(NOTES, 1).await?;
        if setup.has_clean_dataset {
            self.add_dataset(CLEAN, 2).await?;
        }
        for run in &setup.runs {
            self.add_run(run).await?;
        }
        if let Some((baseline, variant)) = setup.inconclusive {
            self.add_inconclusive(baseline, variant).await?;
        }
        self.rules_have_read(setup).await
    }

    async fn add_device(&mut self, id: &str, flops_per_sec: f64) -> Result<(), AgentBenchError> {
        let device = id.parse::<DeviceId>().map_err(|error| AgentBenchError::build(format!("device {id}"), error))?;
        let token = self.store().local_worker_token(&device).await?;
        let config = WorkerConfig::new(None, self.lab.settings.data.clone(), device.clone(), token);
        let trainer = SimulatedDevice { id: device.clone(), flops_per_sec, simulation: Arc::clone(&self.simulation) };
        let train = async move {
            if let Err(error) = run_with(config, Arc::new(trainer)).await {
                tracing::error!("a simulated device failed: {error}");
            }
        };
        self.tasks.push(tokio::spawn(train));
        let fleet = &self.lab.workers.fleet;
        wait_for(&format!("the device {id} to connect"), || async {
            Ok::<_, AgentBenchError>(fleet.infos().iter().any(|info| info.id == device).then_some(()))
        })
        .await
    }

    /// Uploads a dataset of generated lines.
    async fn add_dataset(&self, name: &str, seed: u64) -> Result<(), AgentBenchError> {
        let word =
            |line: u64, place: u64| WORDS[(uniform(seed, line, place) * WORDS.len() as f64) as usize % WORDS.len()];
        let line = |line: u64| (0..6).map(|place| word(line, place)).collect::<Vec<_>>().join(" ") + ".\n";
        let text: String = (0..LINES).map(line).collect();
        let path = format!("/corpora?name={name}");
        self.send(Method::POST, &path, "application/octet-stream", text).await.map(drop)
    }

    async fn add_run(&mut self, run: &SetupRun) -> Result<(), AgentBenchError> {
        let view = self.post("/runs", &run.spec()).await?;
        let text = view["summary"]["id"].as_str().unwrap_or_default().to_owned();
        let id = text.parse::<RunId>().map_err(|error| AgentBenchError::build(format!("run {text:?}"), error))?;
        self.runs.insert(run.key, id.clone());
        if let Some(tag) = run.tag {
            let body = json!({ "tags": [tag] }).to_string();
            self.send(Method::PATCH, &format!("/runs/{id}"), "application/json", body).await?;
        }
        if run.then == Then::Waits {
            return Ok(());
        }
        let is_ready = |summary: &RunSummary| match run.planned.begin >= run.steps {
            true => summary.state == RunState::Finished,
            false => summary.state == RunState::Running && summary.step >= run.planned.begin,
        };
        self.wait_for_run(&id, is_ready).await?;
        if run.then == Then::Stopped {
            self.post(&format!("/runs/{id}/commands"), &json!({ "kind": "stop" })).await?;
            self.wait_for_run(&id, |summary| summary.state == RunState::Stopped).await?;
        }
        Ok(())
    }

    /// Stores an experiment whose verdict is inconclusive. Its runs are not kept.
    async fn add_inconclusive(&self, baseline: f64, variant: f64) -> Result<(), AgentBenchError> {
        let change = json!({ "optimizer.learning_rate": variant });
        let stated = json!({
            "title": format!("Learning rate {variant} in place of {baseline}"),
            "hypothesis": "The higher learning rate lowers the validation loss.", "baseline": { "spec": spec(NOTES, baseline, 400) },
            "change": { "overrides": change }, "prediction": { "difference": -0.05, "probability": 0.6 },
            "rule": { "effect": 0.02, "max_pairs": 3 }, "budget": { "steps": 400, "device_hours": 0.1 },
        });
        let (baseline, mut changed) = (stated["baseline"]["spec"].clone(), stated["baseline"]["spec"].clone());
        changed["overrides"]["optimizer.learning_rate"] = variant.into();
        let new = NewExperiment {
            project: DEFAULT_PROJECT.to_owned(),
            author: Author::Person(OWNER.to_owned()),
            person: None,
            token: None,
            spec: serde_json::from_value(stated)?,
            baseline: serde_json::from_value(baseline)?,
            variant: serde_json::from_value(changed)?,
            first_seed: 1,
        };
        // The verdict follows before the task that leads experiments starts a run: it looks at most once in some seconds.
        let view = self.store().create_experiment(&new).await?;
        let verdict = Verdict {
            outcome: Outcome::Inconclusive,
            difference: Some(-0.012),
            interval: Some([-0.041, 0.017]),
            level: 0.95,
            pairs: 3,
            sentence: "Inconclusive after 3 pairs: the difference is −0.012 bits/byte, 95 % interval −0.041 to 0.017, and the \
                       smallest effect that counts is 0.02."
                .to_owned(),
        };
        self.store().decide_experiment(view.summary.id, &verdict).await?;
        Ok(())
    }

    /// Lets the rules read the runs that train, so that lists of runs show their findings.
    async fn rules_have_read(&self, setup: &Setup) -> Result<(), AgentBenchError> {
        for run in setup.runs.iter().filter(|run| run.then == Then::Trains && run.planned.begin < run.steps) {
            if let Some(id) = self.runs.get(run.key) {
                self.get(&format!("/runs/{id}/findings")).await?;
            }
        }
        Ok(())
    }

    /// Lets the runs continue without the agent until none of them can take a step.
    ///
    /// # Errors
    /// A run does not end.
    pub(super) async fn train_on(&self) -> Result<(), AgentBenchError> {
        self.simulation.grant_all();
        wait_for("the runs to end", || async {
            let runs = self.store().runs(false).await?;
            let is_stuck = |run: &RunSummary| self.stuck.iter().any(|key| self.runs.get(key) == Some(&run.id));
            // The runs behind a stuck one wait for ever, and so does a run whose device is paused.
            let is_blocked =
                runs.iter().any(|run| run.state == RunState::Paused || run.state.is_live() && is_stuck(run));
            let is_settled = |run: &RunSummary| match run.state {
                RunState::Starting | RunState::Running => is_stuck(run),
                RunState::Queued => is_blocked,
                _ => true,
            };
            Ok::<_, AgentBenchError>(runs.iter().all(is_settled).then_some(()))
        })
        .await
    }

    async fn wait_for_run(&self, id: &RunId, is_so: impl Fn(&RunSummary) -> bool) -> Result<(), AgentBenchError> {
        wait_for(&format!("the run {id}"), || async {
            Ok::<_, AgentBenchError>(self.store().summary(id).await?.filter(|summary| is_so(summary)).map(drop))
        })
        .await
    }

    async fn get(&self, path: &str) -> Result<Value, AgentBenchError> {
        self.send(Method::GET, path, "application/json", String::new()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, AgentBenchError> {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    /// Sends a request to the API as the owner of the lab.
    async fn send(&self, method: Method, path: &str, kind: &str, body: String) -> Result<Value, AgentBenchError> {
        let what = format!("{method} {path}");
        let failed = |message: String| AgentBenchError::build(what.clone(), message);
        let request = Request::builder().method(method).uri(format!("/api/v1{path}")).header(HOST, "127.0.0.1");
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.owner)).header(CONTENT_TYPE, kind);
        let request = request.body(Body::from(body)).map_err(|error| failed(error.to_string()))?;
        // A router cannot fail.
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let is_success = response.status().is_success();
        let bytes = to_bytes(response.into_body(), ANSWER_BYTES).await.map_err(|error| failed(error.to_string()))?;
        match is_success {
            true => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            false => Err(failed(String::from_utf8_lossy(&bytes).into_owned())),
        }
    }

    /// Ends the server and the devices, and deletes the folder.
    pub(super) async fn close(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        for task in self.tasks {
            // A task that was aborted.
            let _ = task.await;
        }
    }
}

/// Waits until a read has a result.
async fn wait_for<F>(what: &str, read: impl Fn() -> F) -> Result<(), AgentBenchError>
where
    F: Future<Output = Result<Option<()>, AgentBenchError>>,
{
    let began = Instant::now();
    while began.elapsed() < WITHIN {
        if read().await?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
    Err(AgentBenchError::build(format!("waiting for {what}"), format!("not within {} s", WITHIN.as_secs())))
}
