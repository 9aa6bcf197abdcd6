//! The backup of the lab.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use store::Backup;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::export::backup::{tar_bytes, write};
use crate::export::body::stream;
use crate::lab::Lab;
use crate::live::clock::now_ms;

/// Header with the size of the backup, bytes, which its reader compares its progress with.
pub const BYTES_HEADER: HeaderName = HeaderName::from_static("kindling-backup-bytes");

/// Streams a backup of the whole lab as one tar file, as of now, while runs train; `kindling restore` reads it. The storing of reports
/// pauses for a moment; no report is lost.
#[utoipa::path(get, path = "/backup", tag = "lab",
    responses((status = 200, description = "A tar file.", content_type = "application/x-tar", body = Vec<u8>)))]
pub async fn back_up(Admin(identity): Admin, State(lab): State<Lab>) -> Result<Response, ApiError> {
    let made_ms = now_ms();
    let backup: Backup = lab.store().begin_backup(&lab.settings.incoming().join(format!("backup-{made_ms}"))).await?;
    tracing::info!("{} backs up the lab", identity.name);
    let (id, bytes) = (lab.store().id().to_owned(), tar_bytes(&backup));
    let mut response =
        stream("application/x-tar", &format!("kindling-{id}-{made_ms}.tar"), move |out| write(&backup, &id, out));
    response.headers_mut().insert(BYTES_HEADER, HeaderValue::from(bytes));
    Ok(response)
}
