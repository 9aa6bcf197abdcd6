//! Sockets, held by hand: a page on `/api/v1/live`, and whoever pretends to be a worker on `/api/v1/link`.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};
use wire::frame::Frame;
use wire::live::{FromPage, Tick, ToPage};
use wire::look::Look;
use wire::run::Cursor;

use crate::client::Client;

/// An open socket.
pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens `/api/v1/{topic}`.
    ///
    /// # Errors
    /// The status of a refusal and its code.
    pub fn open(client: &Client, topic: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        let stream = TcpStream::connect(&client.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut request = format!("ws://{}/api/v1/{topic}", client.address).into_client_request().unwrap();
        let own = client.credentials.as_ref().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in own.into_iter().chain(headers.iter().copied()) {
            request.headers_mut().insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        match client::client(request, stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(answer))) => {
                let body = answer.body().clone().unwrap_or_default();
                let code = serde_json::from_slice::<serde_json::Value>(&body)
                    .ok()
                    .and_then(|body| Some(body["code"].as_str()?.to_owned()));
                Err((answer.status().as_u16(), code.unwrap_or_default()))
            }
            Err(error) => panic!("/api/v1/{topic}: {error}"),
        }
    }

    /// Says something.
    pub fn say(&mut self, message: &impl Serialize) {
        self.0.send(Message::binary(wire::encode::to_bytes(message).unwrap())).unwrap();
    }

    /// Says bytes that may mean nothing.
    pub fn say_bytes(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// What comes next, until `until`; nothing where nothing came or the socket is closed.
    pub fn hear<T: DeserializeOwned>(&mut self, until: Instant) -> Option<T> {
        loop {
            let left = until.checked_duration_since(Instant::now())?;
            self.0.get_ref().set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            match self.0.read() {
                Ok(Message::Binary(bytes)) => return Some(wire::encode::from_bytes(&bytes).unwrap()),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {
                    return None;
                }
                Err(Error::Io(error))
                    if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(Error::Io(_)) => return None,
                Err(error) => panic!("{error}"),
                Ok(_) => {}
            }
        }
    }
}

/// A page that watches one run and keeps all it was told.
pub struct Watcher {
    socket: Socket,
    /// Where it stands in the stream.
    pub cursor: Cursor,
    /// Ticks by their number, in the server's own bytes.
    pub ticks: BTreeMap<u64, Vec<u8>>,
    /// Values of `loss.train` by step, in the order they came.
    pub losses: Vec<(u64, f64)>,
    /// Numbers of journal lines, in the order they came.
    pub events: Vec<u64>,
    /// What it asked to see, with the moment at which it came.
    pub sights: Vec<(Instant, Frame)>,
}

impl Watcher {
    /// Opens a run as its page does, and watches from there.
    pub fn begin(client: &Client, run: &str) -> Self {
        let view: wire::RunView = client.get(&format!("/runs/{run}")).read();
        Self::from(client, run, view.cursor)
    }

    /// Watches from a cursor.
    pub fn from(client: &Client, run: &str, since: Cursor) -> Self {
        let mut socket = Socket::open(client, "live", &[]).unwrap();
        socket.say(&FromPage::WatchRun { run: run.parse().unwrap(), since });
        Self { socket, cursor: since, ticks: BTreeMap::new(), losses: vec![], events: vec![], sights: vec![] }
    }

    /// Goes on from where it stood, over a new socket, as a page does after the laptop slept.
    pub fn reconnect(&mut self, client: &Client, run: &str) {
        self.socket = Self::from(client, run, self.cursor).socket;
    }

    /// Wants to see this inside the run, in place of what it wanted before.
    pub fn want(&mut self, run: &str, looks: Vec<Look>) {
        self.socket.say(&FromPage::Probe { run: run.parse().unwrap(), looks });
    }

    /// Follows the stream until it has seen this so often, from now on; gives what came.
    ///
    /// # Panics
    /// As [`Watcher::follow`].
    pub fn see(&mut self, secs: u64, look: &Look, times: usize) -> Vec<Frame> {
        let (before, key) = (self.sights.len(), look.key());
        let left = std::cell::Cell::new(times);
        self.follow(secs, |tick| {
            let came = tick.frames.iter().filter(|frame| frame.key() == key).count();
            left.set(left.get().saturating_sub(came));
            left.get() == 0
        });
        let came = self.sights[before..].iter().map(|(_, frame)| frame);
        came.filter(|frame| frame.key() == key).cloned().collect()
    }

    /// Follows the stream until a tick says so.
    ///
    /// # Panics
    /// After `secs` seconds; also where a tick is missing or comes twice, or where the page is told to start again.
    pub fn follow(&mut self, secs: u64, done: impl Fn(&Tick) -> bool) {
        let until = Instant::now() + Duration::from_secs(secs);
        loop {
            match self.socket.hear(until) {
                Some(ToPage::Tick(tick)) => {
                    let is_done = done(&tick);
                    self.take(tick);
                    if is_done {
                        return;
                    }
                }
                Some(ToPage::Beat { .. }) => {}
                Some(other) => panic!("not expected while watching: {other:?}"),
                None => panic!("watched for {secs} s, up to {:?}, and it did not come", self.cursor),
            }
        }
    }

    fn take(&mut self, tick: Tick) {
        assert_eq!(tick.cursor, Cursor { tick: self.cursor.tick + 1, ..self.cursor }, "ticks follow each other");
        self.cursor = tick.cursor;
        let now = Instant::now();
        self.sights.extend(tick.frames.iter().map(|frame| (now, frame.clone())));
        self.ticks.insert(tick.cursor.tick, wire::encode::to_bytes(&tick).unwrap());
        for row in &tick.rows {
            self.losses.extend(
                row.values
                    .iter()
                    .filter(|(name, _)| name == wire::series::name::TRAIN)
                    .map(|(_, value)| (row.step, *value)),
            );
        }
        self.events.extend(tick.events.iter().map(|event| event.number));
    }
}
