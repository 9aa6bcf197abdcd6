//! Models and datasets of the Hugging Face hub, from a local stand-in for its two endpoints.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use server::data::hub::Hub;
use wire::data::hub::HubToken;

use crate::lab::{Answer, Lab, WITHIN, ask};

const COMMIT: &str = "0123456789abcdef";

/// A request that the stand-in received.
#[derive(Debug, Clone)]
struct Asked {
    host: String,
    path: String,
    range: Option<usize>,
    authorization: Option<String>,
}

/// What the stand-in has and does.
#[derive(Default)]
struct Content {
    files: BTreeMap<String, Vec<u8>>,
    /// Fields of a file in the listing that replace the true ones.
    claimed: BTreeMap<String, Value>,
    /// Status of every answer in place of 200.
    status: Option<u16>,
    /// The token without which the answer is 401, and 403 for another.
    token: Option<String>,
    /// Files are sent from another host.
    is_redirected: bool,
    /// Bytes after which it disconnects, for each of the next files that it sends.
    cuts: VecDeque<usize>,
    /// Pause after each kilobyte.
    pause: Duration,
    asked: Vec<Asked>,
}

#[derive(Clone)]
struct Stub {
    port: u16,
    content: Arc<Mutex<Content>>,
}

impl Stub {
    fn start(files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        let content = Arc::new(Mutex::new(Content { files, ..Content::default() }));
        let stub = Self { port: listener.local_addr().unwrap().port(), content };
        let served = stub.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let served = served.clone();
                thread::spawn(move || served.answer(stream.unwrap()));
            }
        });
        stub
    }

    fn set(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.content.lock().unwrap());
    }

    /// Requests for files, in order: the last part of the path, and where the range begins.
    fn files_asked(&self) -> Vec<(String, Option<usize>)> {
        let content = self.content.lock().unwrap();
        let files = content.asked.iter().filter(|asked| asked.path.contains("/resolve/"));
        files.map(|asked| (asked.path.rsplit('/').next().unwrap().to_owned(), asked.range)).collect()
    }

    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let head: Vec<String> = reader.by_ref_lines();
        let header = |name: &str| {
            let of = |line: &String| {
                line.split_once(": ")
                    .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_owned())
            };
            head.iter().find_map(of)
        };
        let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)).map(str::to_owned) else { return };
        let range = header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let asked = Asked {
            host: header("host").unwrap_or_default(),
            path: path.clone(),
            range,
            authorization: header("authorization"),
        };
        let (status, token, is_redirected) = {
            let mut content = self.content.lock().unwrap();
            content.asked.push(asked.clone());
            (content.status, content.token.clone(), content.is_redirected)
        };
        let mut out = reader.into_inner();
        let refusal = match (status, token, &asked.authorization) {
            (Some(status), ..) => Some(status),
            _ if path.starts_with("/cdn/") => None,
            (None, Some(_), None) => Some(401),
            (None, Some(token), Some(given)) if *given != format!("Bearer {token}") => Some(403),
            _ => None,
        };
        let empty = |status: u16, more: &str| {
            format!("HTTP/1.1 {status} So\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n")
        };
        if let Some(status) = refusal {
            let _ = out.write_all(empty(status, "").as_bytes());
        } else if path.starts_with("/api/") {
            let text = if path.contains("/revision/main") || path.contains("/revision/v1") {
                self.listing()
            } else {
                String::new()
            };
            let status = if text.is_empty() { 404 } else { 200 };
            let _ = out.write_all(
                format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
                    .as_bytes(),
            );
        } else if is_redirected && path.contains("/resolve/") {
            let file = path.split_once(&format!("/resolve/{COMMIT}/")).unwrap().1;
            let location = format!("location: http://localhost:{}/cdn/{file}\r\n", self.port);
            let _ = out.write_all(empty(302, &location).as_bytes());
        } else {
            let file = path
                .split_once(&format!("/resolve/{COMMIT}/"))
                .map_or(path.trim_start_matches("/cdn/"), |(_, file)| file);
            self.send(&file.replace("%20", " "), range, out);
        }
    }

    fn send(&self, file: &str, range: Option<usize>, mut out: TcpStream) {
        let (bytes, cut, pause) = {
            let mut content = self.content.lock().unwrap();
            let cut = content.cuts.pop_front();
            (content.files.get(file).cloned(), cut, content.pause)
        };
        let Some(bytes) = bytes else {
            let _ = out.write_all(b"HTTP/1.1 404 So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            return;
        };
        let from = range.unwrap_or(0);
        let rest = &bytes[from..];
        let range = range.map(|from| format!("content-range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len()));
        let status = if range.is_some() { 206 } else { 200 };
        let head = format!(
            "HTTP/1.1 {status} So\r\n{}content-length: {}\r\nconnection: close\r\n\r\n",
            range.unwrap_or_default(),
            rest.len()
        );
        let _ = out.write_all(head.as_bytes());
        for part in rest[..cut.unwrap_or(rest.len()).min(rest.len())].chunks(1024) {
            if out.write_all(part).is_err() {
                return;
            }
            thread::sleep(pause);
        }
    }

    fn listing(&self) -> String {
        let content = self.content.lock().unwrap();
        let sibling = |(name, bytes): (&String, &Vec<u8>)| {
            let mut file = json!({"rfilename": name, "size": bytes.len()});
            if let Some(claimed) = content.claimed.get(name) {
                file.as_object_mut().unwrap().extend(claimed.as_object().unwrap().clone());
            }
            file
        };
        json!({"sha": COMMIT, "siblings": content.files.iter().map(sibling).collect::<Vec<_>>()}).to_string()
    }

    async fn lab(&self) -> Lab {
        let url = format!("http://127.0.0.1:{}", self.port);
        Lab::open_with(|settings| settings.hub = Hub { url, token: None }).await
    }
}

trait Lines {
    fn by_ref_lines(&mut self) -> Vec<String>;
}

impl Lines for BufReader<TcpStream> {
    fn by_ref_lines(&mut self) -> Vec<String> {
        self.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect()
    }
}

impl Lab {
    async fn hub(&self, kind: &str, body: &Value) -> Answer {
        self.post(&format!("/api/v1/hub/{kind}"), &self.steer, &body.to_string()).await
    }

    /// The job of an answer once it has ended; `Null` if it is no longer listed.
    async fn ended(&self, answer: &Answer) -> Value {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.json());
        let id = answer.json()["id"].clone();
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            let jobs = self.get("/api/v1/jobs", &self.view).await.json();
            let job = jobs.as_array().unwrap().iter().find(|job| job["id"] == id).cloned().unwrap_or_default();
            if job["state"] != "running" {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the job did not end");
    }

    fn incoming(&self) -> Vec<u64> {
        let folders = fs::read_dir(self.folder.path().join("incoming")).unwrap().map(|entry| entry.unwrap().path());
        let files = folders
            .flat_map(|folder| fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()));
        files.collect()
    }
}

fn golden(model: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/engine/tests/golden").join(model);
    let files =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

const STORY: &[u8] = b"{\"story\":\"one\"}\n{\"story\":\"two\"}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_is_named_as_on_the_hub() {
    let text = "A fox saw the moon. ".repeat(2000);
    let files: [(&str, &[u8]); 6] = [
        ("data/train 1.jsonl", STORY),
        ("data/b.txt", text.as_bytes()),
        ("README.md", b"# about"),
        (".gitattributes", b"x"),
        ("model.onnx", b"x"),
        ("dataset_infos.json", b"{}"),
    ];
    let stub = Stub::start(&files);
    stub.set(|content| (content.is_redirected, content.token) = (true, Some("hf_secret".into())));
    let lab = stub.lab().await;
    let body = json!({"repo": "ada/tales", "token": "hf_secret", "options": {"field": "story"}});
    let job = lab.ended(&lab.hub("datasets", &body).await).await;
    assert_eq!((job["state"].as_str(), job["corpus"].as_str()), (Some("done"), Some("tales")), "{job}");
    let info = lab.get("/api/v1/corpora/tales", &lab.view).await.json();
    assert_eq!(info["source"], json!({"kind": "hub", "repo": "ada/tales", "revision": COMMIT}));
    assert_eq!(info["documents"], 3, "{info}");
    let asked: Vec<String> = stub.files_asked().into_iter().map(|(name, _)| name).collect();
    assert_eq!(asked, ["b.txt", "train%201.jsonl"], "descriptions and other files are not downloaded");
    assert_eq!(lab.incoming(), Vec::<u64>::new());
    {
        let content = stub.content.lock().unwrap();
        for asked in &content.asked {
            let is_sent = asked.authorization.as_deref() == Some("Bearer hf_secret");
            assert_eq!(is_sent, asked.host.starts_with("127.0.0.1"), "the token goes to the hub alone: {asked:?}");
        }
        assert!(content.asked.iter().any(|asked| asked.path.starts_with("/cdn/")));
        assert!(content.asked[0].path.contains("/api/datasets/ada/tales/revision/main"), "{:?}", content.asked[0]);
    }
    let said = format!("{job}{info}{}", lab.get("/api/v1/lab", &lab.view).await.json());
    assert!(!said.contains("hf_secret"));

    let one =
        json!({"repo": "ada/tales", "revision": "v1", "path": "data/b.txt", "name": "Foxes", "token": "hf_secret"});
    let job = lab.ended(&lab.hub("datasets", &one).await).await;
    assert_eq!((job["state"].as_str(), job["corpus"].as_str()), (Some("done"), Some("foxes")), "{job}");
    assert_eq!(lab.get("/api/v1/corpora/foxes", &lab.view).await.json()["text_bytes"], text.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_named_as_on_the_hub_and_only_its_files_are_downloaded() {
    for (model, weights) in [("gpt2", 1), ("models/llama-sharded-trainer", 4)] {
        let mut files = golden(model);
        files.extend(
            ["pytorch_model.bin", "consolidated.safetensors", "onnx/model.onnx"]
                .map(|name| (name.to_owned(), vec![0; 10])),
        );
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let stub = Stub::start(&files);
        let lab = stub.lab().await;
        let job = lab.ended(&lab.hub("models", &json!({"repo": "ada/tiny.1"})).await).await;
        assert_eq!(job["state"], "done", "{job}");
        let run = job["run"].as_str().unwrap();
        let view = lab.get(&format!("/api/v1/runs/{run}"), &lab.view).await.json();
        assert_eq!(
            (view["summary"]["name"].as_str(), view["summary"]["state"].as_str()),
            (Some("tiny.1"), Some("finished"))
        );
        let events = lab.get(&format!("/api/v1/runs/{run}/events"), &lab.view).await.json().to_string();
        assert!(events.contains(&format!("ada/tiny.1 of the Hugging Face hub at {COMMIT}")), "{events}");
        let asked: Vec<String> = stub.files_asked().into_iter().map(|(name, _)| name).collect();
        assert_eq!(asked.iter().filter(|name| name.ends_with(".safetensors")).count(), weights, "{asked:?}");
        assert!(
            asked.contains(&"config.json".to_owned())
                && !asked.iter().any(|name| name.ends_with(".bin") || name.starts_with("consolidated"))
        );
        assert_eq!(lab.incoming(), Vec::<u64>::new());
        stub.set(|content| drop(content.files.insert("config.json".into(), br#"{"model_type": "mamba"}"#.to_vec())));
        let job = lab.ended(&lab.hub("models", &json!({"repo": "ada/tiny.1"})).await).await;
        assert!(job["state"] == "failed" && job["message"].as_str().unwrap().contains("mamba"), "{job}");
        assert_eq!(lab.incoming(), Vec::<u64>::new(), "a model that is refused is not kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_refuses_is_refused_with_the_reason_and_no_token() {
    let stub = Stub::start(&[("a.bin", b"x")]);
    let lab = stub.lab().await;
    let plain = json!({"repo": "ada/tales", "token": "hf_secret"});
    let with = |key: &str, value: &str| {
        let mut body = plain.clone();
        body[key] = value.into();
        body
    };
    for (kind, body, status, code, said) in [
        ("datasets", with("repo", "../etc"), 422, "hub_name", "owner/name"),
        ("datasets", with("repo", "a/b/c"), 422, "hub_name", "a/b/c"),
        ("datasets", with("repo", "https://huggingface.co/a/b"), 422, "hub_name", "owner/name"),
        ("datasets", with("repo", ""), 422, "hub_name", "owner/name"),
        ("models", with("repo", "a/b?c"), 422, "hub_name", "owner/name"),
        ("models", with("revision", "../main"), 422, "hub_revision", "main"),
        ("models", with("revision", "a b"), 422, "hub_revision", "a b"),
        ("models", with("token", "a\nb"), 422, "hub_token", "token"),
        ("models", with("revision", "v2"), 404, "not_found", "ada/tales at v2"),
        ("models", with("branch", "main"), 422, "body_invalid", "branch"),
        ("datasets", plain.clone(), 422, "hub_no_files", "a.bin"),
        ("models", plain.clone(), 422, "hub_no_files", "config.json"),
        ("datasets", with("path", "b/c.txt"), 422, "hub_no_files", "b/c.txt"),
        ("datasets", with("name", &"x".repeat(121)), 422, "name_invalid", "120"),
    ] {
        let answer = lab.hub(kind, &body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{body}: {:?}", answer.json());
        assert!(
            answer.json().to_string().contains(said) && !answer.json().to_string().contains("hf_secret"),
            "{:?}",
            answer.json()
        );
    }
    for (answered, status, code) in [
        (401, 422, "hub_access"),
        (403, 422, "hub_access"),
        (404, 404, "not_found"),
        (500, 502, "hub_failed"),
        (429, 502, "hub_failed"),
    ] {
        stub.set(|content| content.status = Some(answered));
        let answer = lab.hub("models", &plain).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{answered}: {:?}", answer.json());
    }
    stub.set(|content| (content.status, content.token) = (None, Some("another".into())));
    for (body, said) in [(json!({"repo": "ada/tales"}), "without an access token"), (plain.clone(), "conditions")] {
        let answer = lab.hub("datasets", &body).await;
        assert!(answer.code() == "hub_access" && answer.json().to_string().contains(said), "{:?}", answer.json());
    }
    for path in ["../../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "a\\evil.txt", "a//evil.txt", "./evil.txt", ""]
    {
        stub.set(|content| (content.token, content.files) = (None, BTreeMap::from([(path.to_owned(), b"x".to_vec())])));
        let answer = lab.hub("datasets", &plain).await;
        assert_eq!(answer.code(), "hub_path", "{path}: {:?}", answer.json());
    }
    assert_eq!(lab.get("/api/v1/corpora", &lab.view).await.json(), json!([]));
    assert_eq!(fs::read_dir(lab.folder.path().join("incoming")).unwrap().count(), 0);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unreachable = Lab::open_with(|settings| settings.hub.url = format!("http://127.0.0.1:{closed}")).await;
    let answer = unreachable.hub("models", &plain).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "hub_unreachable"), "{:?}", answer.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_download_continues_by_itself_and_in_a_later_import() {
    let text = "A fox saw the moon. ".repeat(20_000);
    let stub = Stub::start(&[("a.txt", b"first"), ("b.txt", text.as_bytes())]);
    stub.set(|content| content.cuts = [5, 100_000, 100_000].into());
    let lab = stub.lab().await;
    let body = json!({"repo": "ada/tales"});
    let job = lab.ended(&lab.hub("datasets", &body).await).await;
    assert_eq!(job["state"], "done", "{job}");
    let expected = [("a.txt", None), ("b.txt", None), ("b.txt", Some(100_000)), ("b.txt", Some(200_000))];
    assert_eq!(stub.files_asked(), expected.map(|(name, from)| (name.to_owned(), from)));
    let found = lab.get("/api/v1/corpora/tales", &lab.view).await.json()["text_bytes"].as_u64().unwrap();
    assert_eq!(found as usize, text.len() + "first".len());

    // A server that sends nothing more ends the job; the next import continues.
    stub.set(|content| (content.cuts, content.asked) = ([5, 100_000, 0].into(), vec![]));
    let job = lab.ended(&lab.hub("datasets", &body).await).await;
    assert_eq!(job["state"], "failed", "{job}");
    assert!(job["message"].as_str().unwrap().contains("continues"), "{job}");
    let mut kept = lab.incoming();
    kept.sort_unstable();
    assert_eq!(kept, [5, 100_000]);
    stub.set(|content| content.asked = vec![]);
    let job = lab.ended(&lab.hub("datasets", &body).await).await;
    assert_eq!((job["state"].as_str(), job["corpus"].as_str()), (Some("done"), Some("tales-2")), "{job}");
    assert_eq!(stub.files_asked(), [("b.txt".to_owned(), Some(100_000))]);
    assert_eq!(lab.incoming(), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_differ_from_the_list_and_a_full_disk_end_the_job() {
    let stub = Stub::start(&[("a.txt", b"A fox saw the moon.")]);
    let lab = stub.lab().await;
    let body = json!({"repo": "ada/tales"});
    for (claimed, said) in [
        (json!({"size": 10}), "19 bytes instead of 10"),
        (json!({"size": 30}), "19 bytes instead of 30"),
        (json!({"lfs": {"sha256": "00"}}), "SHA-256"),
        (json!({"size": 1_u64 << 60}), "MB are needed"),
        (json!({"size": u64::MAX}), "MB are needed"),
    ] {
        stub.set(|content| content.claimed = BTreeMap::from([("a.txt".to_owned(), claimed.clone())]));
        let job = lab.ended(&lab.hub("datasets", &body).await).await;
        assert_eq!(job["state"], "failed", "{claimed}: {job}");
        assert!(job["message"].as_str().unwrap().contains(said), "{claimed}: {job}");
        assert_eq!(lab.incoming(), Vec::<u64>::new(), "{claimed}");
    }
    stub.set(|content| content.claimed = BTreeMap::from([("a.txt".to_owned(), json!({"size": null}))]));
    let job = lab.ended(&lab.hub("datasets", &body).await).await;
    assert_eq!(job["state"], "done", "a size that is not known is no fault: {job}");
    let field = json!({"repo": "ada/tales", "options": {"field": "story"}});
    let job = lab.ended(&lab.hub("datasets", &field).await).await;
    assert!(job["message"].as_str().unwrap().contains("story"), "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_can_be_cancelled_and_runs_once() {
    let text = "A fox saw the moon. ".repeat(50_000);
    let stub = Stub::start(&[("a.txt", text.as_bytes())]);
    stub.set(|content| content.pause = Duration::from_millis(5));
    let lab = stub.lab().await;
    let body = json!({"repo": "ada/tales"});
    let first = lab.hub("datasets", &body).await;
    let busy = lab.hub("datasets", &body).await;
    assert_eq!((busy.status, busy.code().as_str()), (StatusCode::CONFLICT, "hub_busy"), "{:?}", busy.json());
    let path = format!("/api/v1/jobs/{}", first.json()["id"]);
    let delete = |token: &str| ask("DELETE", &path, Some(token)).body(Body::empty()).unwrap();
    assert_eq!(lab.send(delete(&lab.view)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(lab.send(delete(&lab.steer)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.ended(&first).await, Value::Null, "a cancelled job is not listed any more");
    assert_eq!(lab.send(delete(&lab.steer)).await.status, StatusCode::NOT_FOUND);
    assert_eq!((lab.incoming(), lab.get("/api/v1/corpora", &lab.view).await.json()), (vec![], json!([])));
    stub.set(|content| content.pause = Duration::ZERO);
    assert_eq!(lab.ended(&lab.hub("datasets", &body).await).await["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_the_server_is_used_for_requests_without_one() {
    let stub = Stub::start(&[("a.txt", b"A fox saw the moon.")]);
    stub.set(|content| content.token = Some("hf_server".into()));
    let url = format!("http://127.0.0.1:{}/", stub.port);
    let lab = Lab::open_with(|settings| settings.hub = Hub { url, token: Some(HubToken("hf_server".into())) }).await;
    assert!(!format!("{:?}", lab.state.settings).contains("hf_server"), "settings are printed without it");
    for body in [json!({"repo": "tales"}), json!({"repo": "tales", "token": " "})] {
        assert_eq!(lab.ended(&lab.hub("datasets", &body).await).await["state"], "done");
    }
    assert_eq!(lab.hub("datasets", &json!({"repo": "tales", "token": "mine"})).await.code(), "hub_access");
}
