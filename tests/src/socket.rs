//! WebSockets: of a page on `/api/v1/live`, or of a worker on `/api/v1/link`.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;
use wire::run::Cursor;
use wire::transport::live::{FromPage, Tick, ToPage};

use crate::client::Client;
use crate::given_up_after;

/// An open WebSocket.
pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens `/api/v1/{topic}`.
    ///
    /// # Errors
    /// Status and code of a refusal; status 0 where no server listens.
    pub fn open(client: &Client, topic: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        Self::open_at(client, &format!("/api/v1/{topic}"), headers)
    }

    /// As [`Self::open`], with a whole path.
    ///
    /// # Errors
    /// Status and code of a refusal; status 0 where no server listens.
    pub fn open_at(client: &Client, path: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        let stream = TcpStream::connect(&client.address).map_err(|error| (0, error.to_string()))?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut request = format!("ws://{}{path}", client.address).into_client_request().unwrap();
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
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Sends a message.
    pub fn send(&mut self, message: &impl Serialize) {
        self.0.send(Message::binary(wire::encode::to_bytes(message).unwrap())).unwrap();
    }

    /// Sends any bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// Sends a message, a text or a ping; whether the socket is still open.
    pub fn try_send(&mut self, message: Message) -> bool {
        self.0.send(message).is_ok()
    }

    /// The next message; `None` if none came until `until`, or the socket is closed.
    pub fn receive<T: DeserializeOwned>(&mut self, until: Instant) -> Option<T> {
        match self.try_receive(until) {
            Received::Message(message) => Some(message),
            Received::Nothing | Received::Closed => None,
        }
    }

    /// The next message, or why there is none.
    pub fn try_receive<T: DeserializeOwned>(&mut self, until: Instant) -> Received<T> {
        loop {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return Received::Nothing };
            self.0.get_ref().set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            match self.0.read() {
                Ok(Message::Binary(bytes)) => return Received::Message(wire::encode::from_bytes(&bytes).unwrap()),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {
                    return Received::Closed;
                }
                Err(Error::Io(error))
                    if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(Error::Io(_)) => return Received::Closed,
                Err(error) => panic!("{error}"),
                Ok(_) => {}
            }
        }
    }
}

/// A message of a socket, or the reason why there is none.
pub enum Received<T> {
    Message(T),
    /// No message came in time.
    Nothing,
    Closed,
}

/// A page that watches one run and keeps everything it receives.
pub struct Watcher {
    socket: Socket,
    /// Its place in the stream.
    pub cursor: Cursor,
    /// Encoded ticks by their number.
    pub ticks: BTreeMap<u64, Vec<u8>>,
    /// Steps and values of `loss.train`, in the order of their arrival.
    pub losses: Vec<(u64, f64)>,
    /// Numbers of events, in the order of their arrival.
    pub events: Vec<u64>,
    /// Inspection updates with their time of arrival.
    pub updates: Vec<(Instant, InspectionUpdate)>,
}

impl Watcher {
    /// Fetches a run as its page does, and watches it from there.
    pub fn begin(client: &Client, run: &str) -> Self {
        let view: wire::RunView = client.get(&format!("/runs/{run}")).read();
        Self::from(client, run, view.cursor)
    }

    /// Watches from a cursor.
    pub fn from(client: &Client, run: &str, since: Cursor) -> Self {
        let mut socket = Socket::open(client, "live", &[]).unwrap();
        socket.send(&FromPage::WatchRun { run: run.parse().unwrap(), since });
        Self { socket, cursor: since, ticks: BTreeMap::new(), losses: vec![], events: vec![], updates: vec![] }
    }

    /// Continues from its cursor over a new socket, as a page does after a suspension.
    pub fn reconnect(&mut self, client: &Client, run: &str) {
        self.socket = Self::from(client, run, self.cursor).socket;
    }

    /// Requests inspections of the run in place of the previous ones.
    pub fn request(&mut self, run: &str, inspections: Vec<Inspection>) {
        self.socket.send(&FromPage::Inspect { run: run.parse().unwrap(), inspections });
    }

    /// Follows the stream until it has received this many updates of an inspection; returns them.
    ///
    /// # Panics
    /// As [`Watcher::follow`].
    pub fn receive_updates(&mut self, secs: u64, inspection: &Inspection, times: usize) -> Vec<InspectionUpdate> {
        let (before, key) = (self.updates.len(), inspection.key());
        let left = std::cell::Cell::new(times);
        self.follow(secs, |tick| {
            let received = tick.updates.iter().filter(|frame| frame.key() == key).count();
            left.set(left.get().saturating_sub(received));
            left.get() == 0
        });
        let received = self.updates[before..].iter().map(|(_, update)| update);
        received.filter(|update| update.key() == key).cloned().collect()
    }

    /// Follows the stream until a tick is `done`.
    ///
    /// # Panics
    /// After `secs` seconds, as [`given_up_after`] has them; if a tick is missing or repeated, or the server asks for a resync.
    pub fn follow(&mut self, secs: u64, done: impl Fn(&Tick) -> bool) {
        let until = given_up_after(secs);
        loop {
            match self.socket.receive(until) {
                Some(ToPage::Tick(tick)) => {
                    let is_done = done(&tick);
                    self.take(tick);
                    if is_done {
                        return;
                    }
                }
                Some(ToPage::Heartbeat { .. }) => {}
                Some(other) => panic!("unexpected message: {other:?}"),
                None => panic!("waited for a tick, up to {:?}", self.cursor),
            }
        }
    }

    fn take(&mut self, tick: Tick) {
        assert_eq!(tick.cursor, Cursor { tick: self.cursor.tick + 1, ..self.cursor }, "ticks are consecutive");
        self.cursor = tick.cursor;
        let now = Instant::now();
        self.updates.extend(tick.updates.iter().map(|frame| (now, frame.clone())));
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
