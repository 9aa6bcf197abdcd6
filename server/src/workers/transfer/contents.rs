//! Files as responses: the whole file, or the rest from a byte on, read while it is sent.

use std::io::SeekFrom;
use std::path::Path;

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use store::OpenCheckpoint;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::error::ApiError;

/// Size of a chunk, bytes.
const CHUNK: usize = 256 * 1024;

/// A file from the byte on that `Range: bytes=N-` asks for; 206 then. The checkpoint stays open until the response has been sent.
///
/// # Errors
/// 404 for a file that does not exist, 416 for a range that is not of this form or begins after the end; an IO error.
pub async fn send(path: &Path, headers: &HeaderMap, held: Option<OpenCheckpoint>) -> Result<Response, ApiError> {
    let mut file = File::open(path).await.map_err(|source| unreadable(path, source))?;
    let bytes = file.metadata().await.map_err(|source| unreadable(path, source))?.len();
    let range = headers.get(RANGE).map(|value| first_byte(value.to_str().unwrap_or_default()));
    let from = match range {
        None => 0,
        Some(Some(from)) if from <= bytes => from,
        Some(_) => {
            let message = format!("the range is not one of this file, which has {bytes} bytes");
            return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_invalid", message)
                .hint("send Range: bytes=N- with N up to the size of the file"));
        }
    };
    file.seek(SeekFrom::Start(from)).await.map_err(|source| unreadable(path, source))?;
    let chunks = stream::try_unfold((file, bytes - from, held), |(mut file, left, held)| async move {
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        let count = file.read(&mut chunk).await?;
        chunk.truncate(count);
        Ok::<_, std::io::Error>((count > 0).then_some((chunk, (file, left - count as u64, held))))
    });
    let length = (bytes - from).to_string();
    let usual = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, length)];
    let body = Body::from_stream(chunks);
    Ok(match range {
        None => (usual, [(ACCEPT_RANGES, "bytes")], body).into_response(),
        Some(_) => {
            let part = format!("bytes {from}-{}/{bytes}", bytes.saturating_sub(1));
            (StatusCode::PARTIAL_CONTENT, usual, [(CONTENT_RANGE, part)], body).into_response()
        }
    })
}

/// The first byte of `bytes=N-`; `None` for any other range.
fn first_byte(range: &str) -> Option<u64> {
    range.trim().strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

fn unreadable(path: &Path, source: std::io::Error) -> ApiError {
    match source.kind() {
        std::io::ErrorKind::NotFound => ApiError::not_found("the file no longer exists"),
        _ => ApiError::internal(&format!("reading {}", path.display()), source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_ranges_of_one_part_are_read() {
        for (range, expected) in
            [("bytes=0-", Some(0)), (" bytes=12- ", Some(12)), ("bytes=5-9", None), ("bytes=-5", None)]
        {
            assert_eq!(first_byte(range), expected, "{range}");
        }
        for bad in ["", "bytes=", "bytes=1-,3-", "lines=1-", "bytes=99999999999999999999-"] {
            assert_eq!(first_byte(bad), None, "{bad}");
        }
    }
}
