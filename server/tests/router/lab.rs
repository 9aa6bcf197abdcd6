//! A lab in a temporary folder, and requests to it.

use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use server::lab::settings::Settings;
use server::router;
use store::Store;
use tempfile::TempDir;
use tower::ServiceExt;
use wire::access::{Role, TokenKind};
use wire::fleet::JoinRequest;

use crate::documented;

/// How long a test waits for what must happen, also on a slow and busy machine.
pub(crate) const WITHIN: Duration = Duration::from_secs(120);

/// A lab with one token of each role.
pub(crate) struct Lab {
    pub(crate) state: server::Lab,
    pub(crate) router: Router,
    pub(crate) view: String,
    pub(crate) steer: String,
    pub(crate) admin: String,
    pub(crate) worker: String,
    pub(crate) folder: TempDir,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code in {self:?}")).to_owned()
    }
}

/// A request with the headers that every client sends.
pub(crate) fn ask(method: &str, path: &str, token: Option<&str>) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7878");
    match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    }
}

impl Lab {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// A lab with other settings than the usual ones.
    pub(crate) async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            upload_bytes: 100_000,
            ..Settings::new(folder.path().to_owned(), "127.0.0.1:7878".parse().unwrap())
        };
        change(&mut settings);
        Self::with_settings(folder, settings).await
    }

    /// Boxed, so that each test does not contain the code that opens a lab.
    fn with_settings(folder: TempDir, settings: Settings) -> Pin<Box<dyn Future<Output = Self> + Send>> {
        Box::pin(Self::opened(folder, settings))
    }

    async fn opened(folder: TempDir, settings: Settings) -> Self {
        std::fs::create_dir_all(settings.incoming()).unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut tokens = vec![];
        for role in [Role::View, Role::Steer, Role::Admin] {
            tokens.push(store.add_token("ada", role, TokenKind::Api, None).await.unwrap());
        }
        let worker = store.local_worker_token(&"cpu".parse().unwrap()).await.unwrap();
        let state = server::Lab::new(settings, store, None);
        let router = router(state.clone());
        let [view, steer, admin] = tokens.try_into().unwrap();
        Self { state, router, view, steer, admin, worker, folder }
    }

    /// Sends a request, and checks that the API document describes the status of its answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        documented::check(&method, &path, parts.status);
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes().to_vec() }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(ask("GET", path, Some(token)).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &str) -> Answer {
        self.send(
            ask("POST", path, Some(token))
                .header("content-type", "application/json")
                .body(Body::from(body.to_owned()))
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.send(ask("DELETE", path, Some(token)).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn patch(&self, path: &str, token: &str, body: &str) -> Answer {
        let request = ask("PATCH", path, Some(token)).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// The text of a new join token of a pool, which is created if it does not exist.
    pub(crate) async fn join_token(&self, pool: &str, uses: Option<u32>) -> String {
        // It may exist.
        let _ = self.state.store().add_pool(pool).await;
        self.state.store().issue_join_token(pool, "ada", None, uses).await.unwrap().0
    }

    /// Joins a device to a pool; returns the token of its worker.
    pub(crate) async fn join(&self, pool: &str, device: &str) -> String {
        let (text, host) = (self.join_token(pool, Some(1)).await, "far".to_owned());
        let request = JoinRequest { pool: pool.to_owned(), host, device: device.parse().unwrap() };
        self.state.store().join(&text, &request).await.unwrap().token
    }

    /// Uploads a dataset.
    pub(crate) async fn upload(&self, query: &str, content: &[u8]) -> Answer {
        let path = format!("/api/v1/corpora?{query}");
        self.send(ask("POST", &path, Some(&self.steer)).body(Body::from(content.to_vec())).unwrap()).await
    }
}
