//! The worker's end of the link: connect, say hello, send what is due, hear what comes; and all of it again when it breaks.
//! What the messages mean to the worker is `duty.rs`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use wire::link::{FromServer, FromWorker};

use crate::config::WorkerConfig;
use crate::duty::Duty;
use crate::error::WorkerError;

/// Rows wait at most this long for company, so that a fast run does not send a message for each.
const GATHER: Duration = Duration::from_millis(50);
/// First pause before another attempt; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long an answer may take before the connection counts as dead.
const SILENCE: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Keeps the link up until it is time to go.
///
/// # Errors
/// A panic of the engine; an address that is none; a server that turns an idle worker away.
pub(crate) async fn keep(config: &WorkerConfig, duty: &mut Duty) -> Result<(), WorkerError> {
    let mut pause = FIRST_PAUSE;
    let mut said = String::new();
    loop {
        let ended = session(config, duty, &mut pause).await;
        duty.unlinked();
        match ended {
            Ok(()) => {}
            Err(error) if is_final(&error) && duty.is_idle() => return Err(error),
            Err(error) if error.to_string() == said => {}
            Err(error) => {
                tracing::info!("{error}; trying again");
                said = error.to_string();
            }
        }
        duty.turn_over();
        if let Some(why) = duty.leaves(false) {
            tracing::info!("leaving: {why}");
            return duty.panicked.take().map_or(Ok(()), Err);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What another attempt will not mend.
fn is_final(error: &WorkerError) -> bool {
    matches!(error, WorkerError::TurnedAway { .. } | WorkerError::Address { .. })
}

/// One connection, from hello to its end.
async fn session(config: &WorkerConfig, duty: &mut Duty, pause: &mut Duration) -> Result<(), WorkerError> {
    let url = config.link_url()?;
    let mut line = Line { socket: connect(&url, &config.token).await?, url };
    let hello = duty.hello();
    line.send(&hello).await?;
    match timeout(SILENCE, line.next()).await {
        Ok(Ok(Heard::Message(FromServer::Welcome { stored, let_go }))) => duty.welcome(stored, let_go),
        Ok(Ok(Heard::Message(FromServer::Refused { message }))) => return Err(WorkerError::TurnedAway { message }),
        Ok(Ok(_)) => return Err(line.broken("the server did not say welcome")),
        Ok(Err(error)) => return Err(error),
        Err(_) => return Err(line.broken("the server did not answer hello")),
    }
    tracing::info!("linked to {}", line.url);
    *pause = FIRST_PAUSE;
    converse(&mut line, duty).await
}

/// Sends and hears until the connection ends or the worker leaves.
async fn converse(line: &mut Line, duty: &mut Duty) -> Result<(), WorkerError> {
    let mut beat = interval(Duration::from_secs(1));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard, mut sent) = (Instant::now(), Instant::now());
    let mut due = Some(sent);
    loop {
        duty.turn_over();
        if duty.leaves(true).is_some() {
            line.close().await;
            return Ok(());
        }
        let bell = std::sync::Arc::clone(&duty.bell);
        tokio::select! {
            message = line.next() => {
                heard = Instant::now();
                match message? {
                    Heard::Message(message) => {
                        duty.hear(message);
                        // An answer may have made room for what was left.
                        if duty.has_more {
                            due = Some(heard);
                        }
                    }
                    Heard::SignOfLife => {}
                    Heard::Closed => return Err(line.broken("the server closed it")),
                }
            }
            () = bell.rung.notified() => {
                let is_urgent = bell.is_urgent.swap(false, Ordering::AcqRel);
                let at = if is_urgent { Instant::now() } else { sent + GATHER };
                due = Some(due.map_or(at, |before| before.min(at)));
            }
            () = sleep_until(due.unwrap_or(heard)), if due.is_some() => {
                sent = Instant::now();
                let messages = duty.due()?;
                due = (duty.has_more && !messages.is_empty()).then_some(sent);
                for message in &messages {
                    line.send(message).await?;
                }
            }
            _ = beat.tick() => {
                if heard.elapsed() > SILENCE {
                    return Err(line.broken("the server has been silent for too long"));
                }
                let beat = duty.beat();
                line.send(&beat).await?;
                line.ping().await?;
            }
        }
    }
}

async fn connect(url: &str, token: &str) -> Result<Socket, WorkerError> {
    let broken = |message: String| WorkerError::Link { url: url.to_owned(), message };
    let address = |message: String| WorkerError::Address { url: url.to_owned(), message };
    let mut request = url.into_client_request().map_err(|source| address(source.to_string()))?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| WorkerError::TurnedAway { message: "the token holds characters that no token has".to_owned() })?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    if url.starts_with("wss:") {
        // Which arithmetic TLS uses is chosen once per process; a second choice changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    // Without delay: a row should be a pixel soon.
    match timeout(SILENCE, connect_async_tls_with_config(request, None, true, None)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(SocketError::Http(answer)))
            if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status()) =>
        {
            Err(WorkerError::TurnedAway {
                message: format!("{}; make a token of the role worker with: kindling token", answer.status()),
            })
        }
        Ok(Err(source)) => Err(broken(source.to_string())),
        Err(_) => Err(broken("no answer".to_owned())),
    }
}

/// What can come over the line.
enum Heard {
    Message(FromServer),
    /// The answer to a ping, say.
    SignOfLife,
    Closed,
}

/// A connection that speaks the protocol.
struct Line {
    socket: Socket,
    url: String,
}

impl Line {
    fn broken(&self, message: &str) -> WorkerError {
        WorkerError::Link { url: self.url.clone(), message: message.to_owned() }
    }

    async fn send(&mut self, message: &FromWorker) -> Result<(), WorkerError> {
        let bytes = wire::encode::to_bytes(message).map_err(|source| self.broken(&source.to_string()))?;
        self.put(Message::binary(bytes)).await
    }

    async fn ping(&mut self) -> Result<(), WorkerError> {
        self.put(Message::Ping(Default::default())).await
    }

    /// A server that takes nothing for long is as good as gone.
    async fn put(&mut self, message: Message) -> Result<(), WorkerError> {
        match timeout(SILENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(self.broken(&source.to_string())),
            Err(_) => Err(self.broken("the server takes nothing")),
        }
    }

    /// What comes next. Losing the future loses no message.
    async fn next(&mut self) -> Result<Heard, WorkerError> {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) => match wire::encode::from_bytes(&bytes) {
                Ok(message) => Ok(Heard::Message(message)),
                Err(source) => Err(self.broken(&format!("the server speaks another version: {source}"))),
            },
            Some(Ok(Message::Close(_))) | None => Ok(Heard::Closed),
            Some(Ok(_)) => Ok(Heard::SignOfLife),
            Some(Err(source)) => Err(self.broken(&source.to_string())),
        }
    }

    async fn close(&mut self) {
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }
}
