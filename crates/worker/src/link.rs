//! The worker's end of the link: connects, greets the server, sends reports, receives messages, and reconnects when the link breaks.
//! `state.rs` handles the messages.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use wire::transport::link::{FromServer, FromWorker};
use wire::transport::note::WorkerNote;

use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::state::WorkerState;
use crate::tls;

/// Rows are collected for this long, so that a fast run does not send a message for each.
const GATHER: Duration = Duration::from_millis(50);
/// First pause before another attempt; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// How long an answer may take before the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

type LinkSource = Box<dyn std::error::Error + Send + Sync>;

/// Keeps the link up until the worker ends.
///
/// # Errors
/// A panic of the engine; an invalid address; a server that refuses an idle worker.
pub(crate) async fn keep_connected(config: &WorkerConfig, state: &mut WorkerState) -> Result<(), WorkerError> {
    let mut pause = FIRST_PAUSE;
    let mut last_logged = String::new();
    loop {
        let ended = session(config, state, &mut pause).await;
        state.unlinked();
        match ended {
            Ok(()) => {}
            Err(error) if is_final(&error) && state.is_idle() && !state.is_ending() => return Err(error),
            Err(error) if error.to_string() == last_logged => {}
            Err(error) => {
                tracing::info!("{error}; trying again");
                last_logged = error.to_string();
            }
        }
        state.advance();
        if let Some(why) = state.reason_to_end(false) {
            tracing::info!("leaving: {why}");
            return state.panicked.take().map_or(Ok(()), Err);
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Whether another attempt would fail in the same way.
fn is_final(error: &WorkerError) -> bool {
    matches!(error, WorkerError::Refused { .. } | WorkerError::Address { .. })
}

/// One connection, from the greeting to its end.
async fn session(config: &WorkerConfig, state: &mut WorkerState, pause: &mut Duration) -> Result<(), WorkerError> {
    let url = config.link_url()?;
    let mut connection = Connection { socket: connect(&url, config).await?, url };
    // Before any report: the server converts their times by the clock in the note.
    connection.note(&state.note()).await?;
    let hello = state.hello();
    connection.send(&hello).await?;
    match timeout(SILENCE, connection.next()).await {
        Ok(Ok(Received::Message(FromServer::Welcome { stored, release }))) => state.welcome(stored, release),
        Ok(Ok(Received::Message(FromServer::Refused { message }))) => return Err(WorkerError::Refused { message }),
        Ok(Ok(_)) => return Err(connection.broken("the server answered the greeting with another message")),
        Ok(Err(error)) => return Err(error),
        Err(_) => return Err(connection.broken("the server did not answer the greeting")),
    }
    tracing::info!("linked to {}", connection.url);
    *pause = FIRST_PAUSE;
    exchange(&mut connection, state).await
}

/// Sends and receives until the connection ends or the worker ends.
async fn exchange(connection: &mut Connection, state: &mut WorkerState) -> Result<(), WorkerError> {
    let mut heartbeat = interval(Duration::from_secs(1));
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut received_at, mut sent_at) = (Instant::now(), Instant::now());
    let mut due = Some(sent_at);
    loop {
        state.advance();
        if state.reason_to_end(true).is_some() {
            connection.close().await;
            return Ok(());
        }
        let signal = std::sync::Arc::clone(&state.signal);
        tokio::select! {
            message = connection.next() => {
                received_at = Instant::now();
                match message? {
                    Received::Message(message) => {
                        state.receive(message);
                        // An answer may allow the next message.
                        if state.has_more {
                            due = Some(received_at);
                        }
                    }
                    Received::Alive => {}
                    Received::Closed => return Err(connection.broken("the server closed the connection")),
                }
            }
            () = signal.notified.notified() => {
                let is_urgent = signal.is_urgent.swap(false, Ordering::AcqRel);
                let at = if is_urgent { Instant::now() } else { sent_at + GATHER };
                due = Some(due.map_or(at, |before| before.min(at)));
            }
            () = sleep_until(due.unwrap_or(received_at)), if due.is_some() => {
                sent_at = Instant::now();
                let messages = state.due()?;
                due = (state.has_more && !messages.is_empty()).then_some(sent_at);
                for message in &messages {
                    connection.send(message).await?;
                }
            }
            _ = heartbeat.tick() => {
                if received_at.elapsed() > SILENCE {
                    return Err(connection.broken("the server has not sent anything for 10 seconds"));
                }
                let heartbeat = state.heartbeat();
                connection.note(&state.note()).await?;
                connection.send(&heartbeat).await?;
                connection.ping().await?;
            }
        }
    }
}

async fn connect(url: &str, WorkerConfig { token, fingerprint, .. }: &WorkerConfig) -> Result<Socket, WorkerError> {
    let broken = |source: LinkSource| WorkerError::Link { url: url.to_owned(), source };
    let address = |message: String| WorkerError::Address { url: url.to_owned(), message };
    let mut request = url.into_client_request().map_err(|source| address(source.to_string()))?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| WorkerError::Refused { message: "the token contains invalid characters".to_owned() })?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let connector = match url.starts_with("wss:") {
        true => Connector::Rustls(tls::client_config(*fingerprint).map_err(|source| broken(source.into()))?),
        false => Connector::Plain,
    };
    // Without Nagle's delay, so that a row reaches the page soon.
    match timeout(SILENCE, connect_async_tls_with_config(request, None, true, Some(connector))).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(SocketError::Http(answer)))
            if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status()) =>
        {
            Err(WorkerError::Refused {
                message: format!(
                    "{}: its token was revoked, or the worker was removed; a machine joins again with a new join token",
                    answer.status()
                ),
            })
        }
        Ok(Err(source)) => Err(broken(source.into())),
        Err(_) => Err(broken("the server does not answer".into())),
    }
}

/// A message from the server, or a change of the connection.
enum Received {
    Message(FromServer),
    /// A pong, or another message without content.
    Alive,
    Closed,
}

/// A connection with the link's protocol.
struct Connection {
    socket: Socket,
    url: String,
}

impl Connection {
    fn broken(&self, source: impl Into<LinkSource>) -> WorkerError {
        WorkerError::Link { url: self.url.clone(), source: source.into() }
    }

    async fn send(&mut self, message: &FromWorker) -> Result<(), WorkerError> {
        let bytes = wire::encode::to_bytes(message).map_err(|source| self.broken(source))?;
        self.put(Message::binary(bytes)).await
    }

    async fn note(&mut self, note: &WorkerNote) -> Result<(), WorkerError> {
        let text = serde_json::to_string(note).map_err(|source| self.broken(source))?;
        self.put(Message::text(text)).await
    }

    async fn ping(&mut self) -> Result<(), WorkerError> {
        self.put(Message::Ping(Default::default())).await
    }

    /// Sends a message; a server that accepts nothing for [`SILENCE`] counts as disconnected.
    async fn put(&mut self, message: Message) -> Result<(), WorkerError> {
        match timeout(SILENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(self.broken(source)),
            Err(_) => Err(self.broken("the server accepts no message")),
        }
    }

    /// The next message. It is cancel-safe: dropping the future loses no message.
    async fn next(&mut self) -> Result<Received, WorkerError> {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) => match wire::encode::from_bytes(&bytes) {
                Ok(message) => Ok(Received::Message(message)),
                Err(source) => Err(self.broken(format!("the server uses another version of the protocol: {source}"))),
            },
            Some(Ok(Message::Close(_))) | None => Ok(Received::Closed),
            Some(Ok(_)) => Ok(Received::Alive),
            Some(Err(source)) => Err(self.broken(source)),
        }
    }

    async fn close(&mut self) {
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }
}
