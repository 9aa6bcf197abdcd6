//! Bytes that one thread writes and a response carries away, a few pieces ahead and no more.

use std::io::{self, ErrorKind, Write};

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

/// Bytes of one piece.
const PIECE: usize = 256 * 1024;
/// Pieces that wait for a slow reader.
const AHEAD: usize = 4;

/// The writer's end. Writing waits for the reader, and fails once they have gone.
pub struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    waiting: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        if self.waiting.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::Error::from(ErrorKind::BrokenPipe))
    }
}

/// A response that `work` writes while it is carried away. What fails half-way breaks it off, so that nobody takes a part for the whole.
pub fn stream(
    kind: &'static str,
    filename: &str,
    work: impl FnOnce(&mut Pipe) -> io::Result<()> + Send + 'static,
) -> Response {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let named = filename.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { sender, waiting: Vec::with_capacity(PIECE) };
        let Err(error) = work(&mut pipe).and_then(|()| pipe.flush()) else { return };
        if !pipe.sender.is_closed() {
            tracing::error!("{named} broke off: {error}");
        }
        // Whoever read may have gone already.
        let _ = pipe.sender.blocking_send(Err(error));
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let disposition = format!("attachment; filename=\"{filename}\"");
    ([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, disposition)], Body::from_stream(pieces)).into_response()
}
