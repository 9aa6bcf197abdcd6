//! Response bodies that a thread writes while they are sent, at most a few chunks ahead.

use std::io::{self, ErrorKind, Write};

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

/// Size of a chunk, bytes.
const CHUNK: usize = 256 * 1024;
/// Chunks that wait for a slow reader.
const AHEAD: usize = 4;

/// Writes a response body. Writing blocks while the reader is slow, and fails when it has disconnected.
pub struct BodyWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    waiting: Vec<u8>,
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        if self.waiting.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK));
        self.sender.blocking_send(Ok(chunk.into())).map_err(|_| io::Error::from(ErrorKind::BrokenPipe))
    }
}

/// A response whose body `work` writes while it is sent. An error in between aborts the response, so that no reader takes a part for the whole.
pub fn stream(
    kind: &'static str,
    filename: &str,
    work: impl FnOnce(&mut BodyWriter) -> io::Result<()> + Send + 'static,
) -> Response {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let named = filename.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut body = BodyWriter { sender, waiting: Vec::with_capacity(CHUNK) };
        let Err(error) = work(&mut body).and_then(|()| body.flush()) else { return };
        if !body.sender.is_closed() {
            tracing::error!("writing {named} failed: {error}");
        }
        // The reader may have disconnected.
        let _ = body.sender.blocking_send(Err(error));
    });
    let chunks = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let disposition = format!("attachment; filename=\"{filename}\"");
    ([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, disposition)], Body::from_stream(chunks)).into_response()
}
