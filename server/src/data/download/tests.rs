//! Downloads from servers that send everything, disconnect, ignore ranges, refuse, and are unreachable.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use wire::data::corpus::JobState;

use super::*;
use crate::data::jobs::Jobs;

/// The file is this text, repeated.
const TEXT: &[u8] = b"Once upon a time there was a fox. ";
const TIMES: usize = 20_000;

/// How the server answers a request.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Sends the requested range.
    Sends,
    /// Disconnects after this many bytes.
    Disconnects(usize),
    /// Sends the whole file for every range.
    IgnoresRanges,
    /// Responds with this status.
    Refuses(u16),
}

/// Answers one request by each behaviour; returns the URL, and the ranges that were requested.
fn serve(behaviours: &[Behaviour]) -> (String, Arc<Mutex<Vec<Option<usize>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/fox.txt", listener.local_addr().unwrap());
    let requested = Arc::new(Mutex::new(vec![]));
    let (behaviours, ranges) = (behaviours.to_vec(), Arc::clone(&requested));
    thread::spawn(move || {
        for behaviour in behaviours {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let head: Vec<String> =
                reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let range = head
                .iter()
                .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
            ranges.lock().unwrap().push(range);
            let whole = TEXT.repeat(TIMES);
            let (status, from, sent) = match (behaviour, range) {
                (Behaviour::Refuses(status), _) => (status, whole.len(), 0),
                (Behaviour::IgnoresRanges, _) | (_, None) => (200, 0, whole.len()),
                (_, Some(from)) if from >= whole.len() => (416, whole.len(), 0),
                (_, Some(from)) => (206, from, whole.len() - from),
            };
            let end = if let Behaviour::Disconnects(after) = behaviour { from + after.min(sent) } else { from + sent };
            let mut out = reader.into_inner();
            let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {sent}\r\nconnection: close\r\n\r\n");
            let _ = out.write_all(head.as_bytes()).and_then(|()| out.write_all(&whole[from..end]));
        }
    });
    (url, requested)
}

fn entry(url: &str) -> CatalogueEntry {
    let whole = TEXT.repeat(TIMES);
    let hash = ring::digest::digest(&SHA256, &whole);
    CatalogueEntry {
        id: "fox".parse().unwrap(),
        name: "Fox".into(),
        about: String::new(),
        url: url.to_owned(),
        download_bytes: whole.len() as u64,
        sha256: Some(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()),
        field: None,
        licence: String::new(),
    }
}

struct Case {
    folder: tempfile::TempDir,
    jobs: Jobs,
}

impl Case {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), jobs: Jobs::default() }
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("fox.part")
    }

    fn try_once(&self, entry: &CatalogueEntry) -> Result<(), DownloadError> {
        let job = self.jobs.begin("Fox".into(), Some(entry.id.clone()), None, "bytes", || {});
        download(entry, &self.part(), &job).and_then(|()| check_hash(entry, &self.part()))
    }
}

#[test]
fn an_interrupted_download_continues_where_it_stopped() {
    let (url, requested) = serve(&[Behaviour::Disconnects(300_000), Behaviour::Disconnects(100_000), Behaviour::Sends]);
    let (case, entry) = (Case::new(), entry(&url));
    for done in [300_000, 400_000] {
        let error = case.try_once(&entry).unwrap_err();
        assert!(matches!(error, DownloadError::Interrupted { done: at, .. } if at == done), "{error}");
    }
    let job = case.jobs.list().into_iter().next().unwrap();
    assert!(job.done >= 256 * 1024 && job.total == Some(entry.download_bytes), "the job reports its progress: {job:?}");
    assert_eq!(job.state, JobState::Failed);
    case.try_once(&entry).unwrap();
    assert_eq!(*requested.lock().unwrap(), [None, Some(300_000), Some(400_000)]);
    assert_eq!(fs::read(case.part()).unwrap(), TEXT.repeat(TIMES));
}

#[test]
fn a_server_without_ranges_sends_the_whole_file_again() {
    let (url, _) = serve(&[Behaviour::Disconnects(5), Behaviour::IgnoresRanges]);
    let (case, entry) = (Case::new(), entry(&url));
    case.try_once(&entry).unwrap_err();
    case.try_once(&entry).unwrap();
    assert_eq!(fs::metadata(case.part()).unwrap().len(), entry.download_bytes);
}

#[test]
fn an_altered_partial_file_is_found_by_its_hash_and_deleted() {
    let (url, _) = serve(&[Behaviour::Sends, Behaviour::Sends]);
    let (case, entry) = (Case::new(), entry(&url));
    fs::write(case.part(), b"Twice upon a time").unwrap();
    let error = case.try_once(&entry).unwrap_err();
    assert!(matches!(error, DownloadError::WrongHash { .. }) && !case.part().exists(), "{error}");
    case.try_once(&entry).unwrap();
}

#[test]
fn a_refusal_and_an_unreachable_host_have_a_hint() {
    let (url, _) = serve(&[Behaviour::Refuses(404)]);
    let error = Case::new().try_once(&entry(&url)).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1 answered with status 404") && error.contains("upload"), "{error}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Case::new().try_once(&entry(&format!("http://{closed}/"))).unwrap_err().to_string();
    assert!(error.contains("cannot reach 127.0.0.1") && error.contains("upload"), "{error}");
}

#[test]
fn the_host_of_a_url_is_found() {
    for (url, host) in [("https://a.example/x/y", "a.example"), ("http://b:80/", "b"), ("c", "c")] {
        assert_eq!(host_of(url), host);
    }
}
