//! HTTP with one connection per request. Exactly the given bytes are sent, even if a client library would change or refuse them: unusual
//! paths, a foreign Host, a body that ends early.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Timeout of a response; the server answers commands within 30 s.
const WITHIN: Duration = Duration::from_secs(40);

/// A client of a server.
#[derive(Debug, Clone)]
pub struct Client {
    /// Address of the server: `127.0.0.1:1234`.
    pub address: String,
    /// Sent with each request: a `Cookie` or an `Authorization`.
    pub credentials: Option<(&'static str, String)>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method and path of the request, for messages.
    request: String,
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    /// A client with a bearer token.
    pub fn with_token(address: &str, token: &str) -> Self {
        Self { address: address.to_owned(), credentials: Some(("authorization", format!("Bearer {token}"))) }
    }

    /// A client without credentials.
    pub fn anonymous(address: &str) -> Self {
        Self { address: address.to_owned(), credentials: None }
    }

    /// Sends a request as it is, with the usual headers unless `headers` has them.
    ///
    /// # Errors
    /// No server, or an interrupted response.
    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let length = body.len().to_string();
        let mut all: Vec<(&str, &str)> = headers.to_vec();
        let usual = [("host", self.address.as_str()), ("content-length", &length), ("connection", "close")];
        let own = self.credentials.as_ref().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in usual.into_iter().chain(own) {
            if !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
                all.push((name, value));
            }
        }
        let lines: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(WITHIN))?;
        // HTTP/1.0, so that no answer comes in chunks.
        stream.write_all(format!("{method} {path} HTTP/1.0\r\n{lines}\r\n").as_bytes())?;
        // A server that refuses early closes the connection; its response is read all the same.
        let sent = stream.write_all(body);
        let mut bytes = vec![];
        stream.read_to_end(&mut bytes).or_else(|source| if bytes.is_empty() { Err(source) } else { Ok(0) })?;
        read_answer(format!("{method} {path}"), &bytes)
            .ok_or_else(|| sent.err().unwrap_or(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Sends a request as it is.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// GET below `/api/v1`.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", &format!("/api/v1{path}"), &[], b"")
    }

    /// GET below `/api/v1` in postcard, which keeps numbers exactly.
    pub fn get_exact<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.send("GET", &format!("/api/v1{path}"), &[("accept", "application/x-postcard")], b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        wire::encode::from_bytes(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A request with a JSON body below `/api/v1`.
    pub fn json(&self, method: &str, path: &str, body: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(body).unwrap();
        self.send(method, &format!("/api/v1{path}"), &[("content-type", "application/json")], &body)
    }

    /// POST of JSON below `/api/v1`.
    pub fn post(&self, path: &str, body: &impl Serialize) -> Answer {
        self.json("POST", path, body)
    }

    /// Replaces the settings of a run's rules.
    pub fn put_rules(&self, run: &str, settings: Value) -> Answer {
        self.json("PUT", &format!("/runs/{run}/rules"), &settings)
    }

    /// DELETE below `/api/v1`.
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", &format!("/api/v1{path}"), &[], b"")
    }

    /// Uploads one file as a plain body.
    pub fn upload(&self, query: &str, bytes: &[u8]) -> Answer {
        self.send("POST", &format!("/api/v1/corpora?{query}"), &[], bytes)
    }

    /// Uploads files as a form, as a browser does for a folder.
    pub fn upload_form(&self, query: &str, files: &[(&str, &[u8])]) -> Answer {
        let mut body = vec![];
        for (name, bytes) in files {
            body.extend(
                format!("--boundary\r\ncontent-disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n")
                    .bytes(),
            );
            body.extend(*bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--boundary--\r\n");
        let form = ("content-type", "multipart/form-data; boundary=boundary");
        self.send("POST", &format!("/api/v1/corpora?{query}"), &[form], &body)
    }
}

fn read_answer(request: String, bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Some(Answer { request, status, headers: headers.collect(), body: bytes[end + 4..].to_vec() })
}

impl Answer {
    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is not JSON.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The decoded body; the status must be 2xx.
    pub fn read<T: DeserializeOwned>(&self) -> T {
        let is_good = (200..300).contains(&self.status);
        assert!(is_good, "{}: {} {}", self.request, self.status, self.text());
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error} in {}", self.request, self.text()))
    }

    /// Checks for an error with this status and code whose message and hint contain these words.
    pub fn refused(&self, status: u16, code: &str, words: &[&str]) {
        let body = self.value();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}: {}", self.request, self.text());
        let text =
            format!("{} {}", body["message"].as_str().unwrap_or_default(), body["hint"].as_str().unwrap_or_default());
        for word in words {
            assert!(text.contains(word), "{}: {word:?} is not in: {text}", self.request);
        }
    }
}
