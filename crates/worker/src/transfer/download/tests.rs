use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use testing::Random;

use super::*;

/// A server that cuts its answers at random places and damages the first whole files.
struct BadServer {
    content: Vec<u8>,
    random: Mutex<Random>,
    /// Answers that still get a wrong byte.
    damages: Mutex<u32>,
    /// Answers from the beginning in place of the rest.
    ignores_ranges: bool,
}

impl BadServer {
    /// Starts it; returns the address of its link.
    fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::new(self);
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(server.answer(&stream))));
        format!("ws://{address}/api/v1/link")
    }

    fn answer(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        let mut from = 0;
        while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
            let range = line.to_ascii_lowercase();
            let first = range.strip_prefix("range: bytes=").and_then(|range| range.trim_end_matches('-').parse().ok());
            from = first.filter(|_| !self.ignores_ranges).unwrap_or(from);
        }
        let mut rest = self.content[from..].to_vec();
        let mut damages = self.damages.lock().unwrap();
        if *damages > 0 && from == 0 {
            *damages -= 1;
            rest[0] ^= 1;
        }
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", rest.len())?;
        let end = self.random.lock().unwrap().below(2 * rest.len() as u64) as usize;
        stream.write_all(&rest[..end.min(rest.len())])
    }
}

fn content(random: &mut Random, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| random.bits() as u8).collect()
}

fn fetch(server: BadServer, watch: &Watch, place: &Path) -> Result<(), TransferError> {
    let hash = blake3::hash(&server.content).to_hex().to_string();
    let file = TransferFile { name: "train-0".into(), bytes: server.content.len() as u64, hash };
    let client = Client::new(&server.start(), "t", None).unwrap();
    Download::new(&client, watch, "tales".into(), std::slice::from_ref(&file)).fetch("dataset/train-0", &file, place)
}

#[test]
fn a_file_arrives_whole_through_answers_that_are_cut_at_random() {
    for seed in testing::seeds(0..4) {
        let mut random = Random::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let (place, content) = (folder.path().join("a/b"), content(&mut random, 300_000));
        let server = BadServer {
            content: content.clone(),
            random: Mutex::new(random),
            damages: Mutex::new(seed as u32 % 3),
            ignores_ranges: seed == 3,
        };
        let watch = Watch::default();
        fetch(server, &watch, &place).unwrap();
        assert_eq!(fs::read(&place).unwrap(), content);
        assert_eq!(watch.progress().as_deref(), Some("fetching tales: 0 of 1 MB"));
    }
}

#[test]
fn a_file_that_is_always_damaged_is_given_up() {
    let mut random = Random::new(testing::seed(5));
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("file");
    let content = content(&mut random, 1000);
    let server = BadServer { content, random: Mutex::new(random), damages: Mutex::new(u32::MAX), ignores_ranges: true };
    let error = fetch(server, &Watch::default(), &place).unwrap_err();
    assert!(matches!(error, TransferError::Damaged { times: 3, .. }), "{error}");
    assert!(!place.exists());
}

#[test]
fn without_a_server_a_transfer_goes_on_until_it_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new("ws://127.0.0.1:1/api/v1/link", "t", None).unwrap();
    let file = TransferFile { name: "train-0".into(), bytes: 10, hash: String::new() };
    let watch = Watch::within(Duration::from_millis(600));
    let began = Instant::now();
    let ended = Download::new(&client, &watch, "tales".into(), &[]).fetch("x", &file, &folder.path().join("file"));
    assert!(matches!(ended, Err(TransferError::Cancelled)), "{ended:?}");
    assert!(began.elapsed() >= Duration::from_millis(500) && began.elapsed() < Duration::from_secs(5));
}
