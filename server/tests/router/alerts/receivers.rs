//! Receivers that accept, fail, stall and cut connections: a webhook and an SMTP server.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

/// What a receiver does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Accept,
    /// Refuses it: HTTP 500, SMTP 451.
    Fail,
    /// Reads it and never answers.
    Stall,
    /// Reads it and closes the connection, so that the sender does not know whether it has arrived.
    Cut,
}

/// A message that has arrived, accepted or not.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// Id of the delivery in its headers.
    pub(crate) delivery: String,
    /// Headers by their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) accepted: bool,
}

impl Arrived {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// Titles of the alerts of a webhook.
    pub(crate) fn titles(&self) -> Vec<String> {
        let json = self.json();
        json["alerts"].as_array().unwrap().iter().map(|alert| alert["title"].as_str().unwrap().to_owned()).collect()
    }
}

/// A receiver on a port of this machine.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<VecDeque<Does>>>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Receiver {
    /// A webhook that does with its messages what the script says, and accepts those after its end.
    pub(crate) async fn webhook(script: &[Does]) -> Self {
        Self::listen(script, |receiver, stream| async move { receiver.http(stream).await }).await
    }

    /// An SMTP server, likewise.
    pub(crate) async fn smtp(script: &[Does]) -> Self {
        Self::listen(script, |receiver, stream| async move { receiver.mail(stream).await }).await
    }

    async fn listen<F>(script: &[Does], serve: impl Fn(Self, TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            script: Arc::new(Mutex::new(script.iter().copied().collect())),
            arrived: Arc::default(),
        };
        let accepting = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A sender that gives up closes the connection.
                tokio::spawn(serve(accepting.clone(), stream));
            }
        });
        receiver
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything that has arrived.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    fn next(&self) -> Does {
        self.script.lock().unwrap().pop_front().unwrap_or(Does::Accept)
    }

    fn keep(&self, headers: BTreeMap<String, String>, body: String, does: Does) {
        let delivery = headers.get("x-kindling-delivery").cloned().unwrap_or_default();
        self.arrived.lock().unwrap().push(Arrived { delivery, headers, body, accepted: does == Does::Accept });
    }

    async fn http(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufStream::new(stream);
        let headers = read_headers(&mut stream).await?;
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let does = self.next();
        self.keep(headers, String::from_utf8_lossy(&body).into_owned(), does);
        let answer: &[u8] = match does {
            Does::Accept => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nthank",
            Does::Fail => b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy",
            Does::Stall => return stall().await,
            Does::Cut => return Ok(()),
        };
        stream.write_all(answer).await?;
        stream.flush().await
    }

    async fn mail(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufStream::new(stream);
        let does = self.next();
        say(&mut stream, "220 localhost").await?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let word = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" => say(&mut stream, "250-localhost\r\n250 8BITMIME").await?,
                "QUIT" => return say(&mut stream, "221 bye").await,
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    let headers = read_headers(&mut stream).await?;
                    let body = read_text(&mut stream).await?;
                    self.keep(headers, body, does);
                    match does {
                        Does::Accept => say(&mut stream, "250 queued").await?,
                        Does::Fail => say(&mut stream, "451 try again").await?,
                        Does::Stall => return stall().await,
                        Does::Cut => return Ok(()),
                    }
                }
                _ => say(&mut stream, "250 ok").await?,
            }
        }
    }
}

/// Longer than any sender of the tests waits.
async fn stall() -> std::io::Result<()> {
    tokio::time::sleep(Duration::from_secs(20)).await;
    Ok(())
}

async fn say(stream: &mut BufStream<TcpStream>, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// Headers up to the empty line; the request line of HTTP is none. Continued lines are joined.
async fn read_headers(stream: &mut BufStream<TcpStream>) -> std::io::Result<BTreeMap<String, String>> {
    let (mut headers, mut last) = (BTreeMap::<String, String>::new(), String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line.trim().is_empty() {
            return Ok(headers);
        }
        if line.starts_with([' ', '\t']) {
            let value = headers.entry(last.clone()).or_default();
            *value += " ";
            *value += line.trim();
        } else if let Some((name, value)) = line.split_once(':') {
            last = name.to_ascii_lowercase();
            headers.insert(last.clone(), value.trim().to_owned());
        }
    }
}

/// The text of an e-mail up to the line with a dot.
async fn read_text(stream: &mut BufStream<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line.trim_end() == "." {
            return Ok(text);
        }
        text += line.strip_prefix('.').unwrap_or(&line);
    }
}
