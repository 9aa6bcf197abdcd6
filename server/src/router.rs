//! All routes over one state. The description is made of the same list, so that it cannot leave one out.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api_error::{ApiError, log_refusals};
use crate::app_state::AppState;
use crate::openapi::Document;
use crate::{
    catalogue, checkpoints, checks, commands, complete, corpora, devices, figures_api, guard, headers, jobs, link,
    live_socket, looks, metrics, page, runs, series_api, session, takeaway, tokens, upload,
};

/// Largest body but for uploads, bytes.
const BODY_BYTES: usize = 1_000_000;

/// Everything the server answers to.
pub fn router(state: AppState) -> Router {
    let (api, description) = api();
    let description = description.to_json().unwrap_or_else(|error| format!("{{\"error\": {:?}}}", error.to_string()));
    let describe = get(move || std::future::ready(([(CONTENT_TYPE, "application/json")], description.clone())));
    api.route("/api/v1/openapi.json", describe)
        .route("/signin", get(session::open_link))
        .route("/healthz", get(metrics::health))
        .route("/metrics", get(metrics::metrics))
        .method_not_allowed_fallback(refuse_method)
        .fallback(page::serve_page)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn_with_state(state.clone(), guard::check_origin))
        .layer(from_fn(log_refusals))
        .layer(from_fn(headers::set_headers))
        .with_state(state)
}

/// The description of the API.
pub fn description() -> Description {
    api().1
}

fn api() -> (Router<AppState>, Description) {
    let uploads = OpenApiRouter::new()
        .routes(routes!(corpora::list_corpora, upload::upload_corpus))
        .routes(routes!(takeaway::arrival::import_run))
        .layer(DefaultBodyLimit::disable());
    let v1 = OpenApiRouter::new()
        .routes(routes!(session::sign_in, session::sign_out))
        .routes(routes!(session::get_me))
        .routes(routes!(tokens::list_tokens, tokens::make_token))
        .routes(routes!(tokens::revoke_token))
        .routes(routes!(runs::list_presets))
        .routes(routes!(runs::plan_run))
        .routes(routes!(runs::list_runs, runs::create_run))
        .routes(routes!(runs::get_run, runs::change_run, runs::delete_run))
        .routes(routes!(runs::restore_run))
        .routes(routes!(commands::command_run))
        .routes(routes!(complete::complete))
        .routes(routes!(checkpoints::list_checkpoints))
        .routes(routes!(checkpoints::change_checkpoint, checkpoints::delete_checkpoint))
        .routes(routes!(takeaway::model::export_checkpoint))
        .routes(routes!(takeaway::series::export_csv))
        .routes(routes!(takeaway::series::export_parquet))
        .routes(routes!(takeaway::archive::export_run))
        .routes(routes!(series_api::compare_runs))
        .routes(routes!(series_api::list_events))
        .routes(routes!(series_api::list_series))
        .routes(routes!(series_api::get_series))
        .routes(routes!(series_api::list_frames))
        .routes(routes!(looks::list_kept_steps))
        .routes(routes!(looks::list_kept))
        .routes(routes!(looks::look))
        .routes(routes!(figures_api::draw_figure))
        .routes(routes!(devices::get_lab))
        .routes(routes!(devices::list_devices))
        .routes(routes!(checks::list_checks))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(corpora::get_corpus, corpora::delete_corpus))
        .routes(routes!(corpora::cut_corpus))
        .routes(routes!(catalogue::list_catalogue))
        .routes(routes!(catalogue::fetch_entry))
        .routes(routes!(link::open_link))
        .routes(routes!(live_socket::open_live))
        .merge(uploads);
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", v1).split_for_parts()
}

async fn refuse_method(request: Request) -> ApiError {
    let message = format!("{} is not for {}", request.uri().path(), request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        .hint("GET /api/v1/openapi.json lists all there is")
}
