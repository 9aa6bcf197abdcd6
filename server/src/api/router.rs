//! All routes. The description of the API is made from the same list, so that it contains every route.

use std::sync::{Arc, LazyLock};

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;
use utoipa_axum::router::OpenApiRouter;
use wire::task::MAX_FILE_BYTES;
use wire::transport::transfer::MAX_PART_BYTES;

use super::audited::{API, Audited};
use super::log::{log_errors, without_secret};
use super::mcp::caller::InProcess;
use super::openapi::Document;
use super::routes::{Descriptions, Routes, routes};
use super::{
    account, agents, alert_conditions, alerts, assistant, audit, audited, backups, checkpoints, checks, commands,
    comparison, completions, corpora, embeds, experiments, exports, figures, filters, findings, fits, guard, headers,
    hub, inspections, journal, lab, links, mcp, metrics, oauth, oidc, openapi, page, people, planning, pools, projects,
    proposals, reached, research_loops, runs, series, session, share, sockets, sweep_results, sweeps, tasks, telemetry,
    tokens, transfer, uploads, workers,
};
use crate::error::ApiError;
use crate::lab::Lab;

/// Maximum size of a body that is not an upload, bytes.
const BODY_BYTES: usize = 1_000_000;

/// The routes of a lab.
pub fn router(lab: Lab) -> Router {
    let (called, audited) = called_routes(&lab);
    // The tools of agents and of the assistant call the other routes, and so do the decisions about proposals.
    let routes = called.clone().merge(guarded(mcp::route(&lab, called.clone()), &lab, &audited));
    let routes = routes.layer(Extension(InProcess(called)));
    // Around all of it, because a public path is removed before routing.
    Router::new().fallback_service(routes).layer(from_fn_with_state(lab, reached::note_address))
}

/// The routes that tools call, for calls that the server carries out without a request.
pub fn own_routes(lab: &Lab) -> Router {
    called_routes(lab).0
}

/// All routes but that of agents, and what the audit log knows of them.
fn called_routes(lab: &Lab) -> (Router, Audited) {
    let Routes { router: v1, operations, descriptions } = api();
    let audited = Audited::new(lab.clone(), operations);
    let description = Arc::new(LazyLock::new(move || write_description(&descriptions)));
    let describe = get(move || std::future::ready(([(CONTENT_TYPE, "application/json")], Bytes::clone(&description))));
    let routes = Router::new()
        .nest(API, v1)
        .route("/api/v1/openapi.json", describe)
        .route("/signin", get(session::show_link).post(session::use_link))
        .route("/share/{token}", get(share::show).post(share::open))
        .route("/embed/embed.js", get(embeds::script))
        .route("/embed/embed.css", get(embeds::style))
        .route("/embed/{token}", get(embeds::show_embed))
        .route("/embed/{token}/{file}", get(embeds::show_image))
        .route("/oidc/start", get(oidc::start))
        .route(oidc::CALLBACK, get(oidc::callback))
        .merge(oauth::routes())
        .route("/healthz", get(metrics::health))
        .route("/metrics", get(metrics::metrics))
        .method_not_allowed_fallback(refuse_method)
        .fallback(page::serve_page)
        .layer(DefaultBodyLimit::max(BODY_BYTES));
    (guarded(routes, lab, &audited), audited)
}

/// The routes with the middleware of all requests.
fn guarded(routes: Router<Lab>, lab: &Lab, audited: &Audited) -> Router {
    routes
        .layer(from_fn_with_state(lab.clone(), guard::check_origin))
        .layer(from_fn_with_state(audited.clone(), audited::note_request))
        .layer(from_fn(log_errors))
        .layer(from_fn(headers::set_headers))
        .with_state(lab.clone())
}

/// The description of the API.
pub fn description() -> Description {
    describe(&api().descriptions)
}

fn write_description(routes: &Descriptions) -> Bytes {
    let text = describe(routes).to_json();
    text.unwrap_or_else(|error| format!("{{\"error\": {:?}}}", error.to_string())).into()
}

fn describe(routes: &Descriptions) -> Description {
    let document = OpenApiRouter::with_openapi(Document::openapi());
    let mut description = document.nest(API, routes.describe()).into_openapi();
    openapi::complete(&mut description);
    description
}

fn api() -> Routes {
    let routes = access_routes().merge(fleet_routes()).merge(run_routes()).merge(data_routes());
    let routes = routes.merge(sweep_routes()).merge(experiment_routes()).merge(task_routes());
    routes.merge(upload_routes()).merge(transfer_routes()).merge(assistant_routes())
}

fn assistant_routes() -> Routes {
    Routes::default()
        .routes(routes!(assistant::get_assistant))
        .routes(routes!(assistant::set_corpus_protection))
        .routes(routes!(assistant::list_conversations, assistant::create_conversation))
        .routes(routes!(assistant::get_conversation, assistant::delete_conversation))
        .routes(routes!(assistant::send_message))
        .routes(routes!(assistant::decide_call))
        .routes(routes!(assistant::stop_answer))
}

fn access_routes() -> Routes {
    Routes::default()
        .routes(routes!(session::sign_in_info, session::sign_in, session::sign_out))
        .routes(routes!(session::get_me))
        .routes(routes!(links::list_links, links::create_link))
        .routes(routes!(links::revoke_link))
        .routes(routes!(account::sign_in_with_password))
        .routes(routes!(account::set_password))
        .routes(routes!(account::list_own_tokens, account::create_own_token))
        .routes(routes!(account::revoke_own_token))
        .routes(routes!(account::list_own_sessions))
        .routes(routes!(account::end_own_session))
        .routes(routes!(people::list_people))
        .routes(routes!(people::change_person, people::remove_person))
        .routes(routes!(people::list_removed_accounts))
        .routes(routes!(people::let_account_in_again))
        .routes(routes!(people::reset_password))
        .routes(routes!(people::list_invitations, people::create_invitation))
        .routes(routes!(people::revoke_invitation))
        .routes(routes!(people::preview_invitation))
        .routes(routes!(people::accept_invitation))
        .routes(routes!(projects::list_projects, projects::create_project))
        .routes(routes!(projects::limit_project, projects::delete_project))
        .routes(routes!(projects::set_member, projects::remove_member))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(proposals::list_proposals))
        .routes(routes!(proposals::get_proposal))
        .routes(routes!(proposals::preview_proposal))
        .routes(routes!(proposals::decide_proposal))
        .routes(routes!(alert_conditions::list_alert_conditions, alert_conditions::create_alert_condition))
        .routes(routes!(alert_conditions::delete_alert_condition))
        .routes(routes!(alerts::list_alert_channels, alerts::create_alert_channel))
        .routes(routes!(alerts::change_alert_channel, alerts::delete_alert_channel))
        .routes(routes!(alerts::test_alert_channel))
        .routes(routes!(alerts::list_alert_deliveries))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::export_audit))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::revoke_token))
        .routes(routes!(agents::list_agents))
        .routes(routes!(agents::limit_agent))
        .routes(routes!(agents::stop_agent))
        .routes(routes!(agents::preview_undo, agents::undo_agent))
        .routes(routes!(sockets::open_link))
        .routes(routes!(sockets::open_live))
        .routes(routes!(sockets::poll_live))
}

fn fleet_routes() -> Routes {
    Routes::default()
        .routes(routes!(pools::list_pools, pools::create_pool))
        .routes(routes!(pools::change_pool, pools::delete_pool))
        .routes(routes!(pools::list_join_tokens, pools::create_join_token))
        .routes(routes!(pools::revoke_join_token))
        .routes(routes!(pools::join))
        .routes(routes!(workers::list_workers))
        .routes(routes!(workers::change_worker, workers::remove_worker))
        .routes(routes!(workers::get_worker_log))
}

fn run_routes() -> Routes {
    Routes::default()
        .routes(routes!(planning::list_presets))
        .routes(routes!(planning::list_hyperparameters))
        .routes(routes!(planning::plan_run))
        .routes(routes!(runs::list_runs, runs::create_run))
        .routes(routes!(runs::list_facets))
        .routes(routes!(runs::change_runs))
        .routes(routes!(filters::list_filters, filters::save_filter))
        .routes(routes!(filters::delete_filter))
        .routes(routes!(runs::get_run, runs::change_run, runs::delete_run))
        .routes(routes!(runs::restore_run))
        .routes(routes!(commands::command_run))
        .routes(routes!(findings::list_rules))
        .routes(routes!(findings::list_findings))
        .routes(routes!(findings::set_rules))
        .routes(routes!(findings::dismiss_finding, findings::restore_finding))
        .routes(routes!(findings::judge_finding))
        .routes(routes!(checkpoints::list_checkpoints))
        .routes(routes!(checkpoints::change_checkpoint, checkpoints::delete_checkpoint))
        .routes(routes!(exports::export_checkpoint))
        .routes(routes!(exports::export_csv))
        .routes(routes!(exports::export_parquet))
        .routes(routes!(exports::export_run))
        .routes(routes!(series::compare_runs))
        .routes(routes!(comparison::compare_fairly, comparison::add_comparison))
        .routes(routes!(comparison::run_seeds))
        .routes(routes!(fits::fit_runs))
        .routes(routes!(fits::replay_rule))
        .routes(routes!(series::list_events))
        .routes(routes!(series::list_series))
        .routes(routes!(series::get_series))
        .routes(routes!(figures::draw_figure))
        .routes(routes!(inspections::list_inspections, inspections::create_inspection))
        .routes(routes!(inspections::list_snapshots))
        .routes(routes!(inspections::list_snapshot_steps))
        .routes(routes!(completions::create_completion))
        .routes(routes!(tasks::list_run_tasks, tasks::set_run_tasks))
        .routes(routes!(tasks::create_score))
        .routes(routes!(tasks::cancel_score))
}

fn data_routes() -> Routes {
    Routes::default()
        .routes(routes!(lab::get_lab))
        .routes(routes!(backups::back_up))
        .routes(routes!(lab::get_disk))
        .routes(routes!(lab::list_devices))
        .routes(routes!(telemetry::get_fleet))
        .routes(routes!(telemetry::get_device_history))
        .routes(routes!(lab::list_jobs))
        .routes(routes!(lab::cancel_job))
        .routes(routes!(checks::list_checks))
        .routes(routes!(corpora::get_corpus, corpora::delete_corpus))
        .routes(routes!(corpora::list_skipped))
        .routes(routes!(corpora::tokenize_corpus))
        .routes(routes!(uploads::preview_upload, uploads::discard_upload))
        .routes(routes!(uploads::import_upload))
        .routes(routes!(uploads::list_skipped_of_upload))
        .routes(routes!(corpora::list_catalogue))
        .routes(routes!(corpora::download_corpus))
        .routes(routes!(hub::import_hub_dataset))
        .routes(routes!(hub::import_hub_model))
}

fn sweep_routes() -> Routes {
    Routes::default()
        .routes(routes!(sweeps::list_sweeps, sweeps::start_sweep))
        .routes(routes!(sweeps::preview_sweep))
        .routes(routes!(sweeps::get_sweep))
        .routes(routes!(sweeps::list_decisions))
        .routes(routes!(sweeps::command_sweep))
        .routes(routes!(sweep_results::get_importance))
        .routes(routes!(sweep_results::get_trial_curves))
        .routes(routes!(sweeps::export_trials_csv))
        .routes(routes!(sweeps::export_trials_parquet))
}

fn experiment_routes() -> Routes {
    Routes::default()
        .routes(routes!(experiments::list_experiments, experiments::create_experiment))
        .routes(routes!(experiments::list_prediction_scores))
        .routes(routes!(experiments::get_experiment, experiments::change_experiment))
        .routes(routes!(research_loops::list_research_loops, research_loops::create_research_loop))
        .routes(routes!(research_loops::get_research_loop, research_loops::change_research_loop))
        .routes(routes!(research_loops::list_research_loop_events))
        .routes(routes!(research_loops::propose_research_change))
        .routes(routes!(research_loops::replay_research_loop))
        .routes(routes!(journal::list_journal))
        .routes(routes!(journal::get_calibration))
        .routes(routes!(journal::export_report_markdown))
        .routes(routes!(journal::export_report_html))
}

/// Routes whose body may be the file of an evaluation task.
fn task_routes() -> Routes {
    Routes::default()
        .routes(routes!(tasks::list_tasks, tasks::add_task))
        .routes(routes!(tasks::get_task, tasks::delete_task))
        .map_router(|router| router.layer(DefaultBodyLimit::max(MAX_FILE_BYTES as usize)))
}

/// Routes that bound the size of their body themselves.
fn upload_routes() -> Routes {
    Routes::default()
        .routes(routes!(corpora::list_corpora, corpora::upload_corpus))
        .routes(routes!(uploads::stage_upload))
        .routes(routes!(exports::import_run))
        .routes(routes!(sweeps::import_study))
        .map_router(|router| router.layer(DefaultBodyLimit::disable()))
}

/// Files of workers of other machines.
fn transfer_routes() -> Routes {
    Routes::default()
        .routes(routes!(transfer::get_pool))
        .routes(routes!(transfer::list_dataset_files))
        .routes(routes!(transfer::get_dataset_file))
        .routes(routes!(transfer::compare_saved))
        .routes(routes!(transfer::describe_stored))
        .routes(routes!(transfer::get_checkpoint_file))
        .routes(routes!(transfer::get_upload, transfer::put_upload))
        .routes(routes!(transfer::commit_upload))
        .map_router(|router| router.layer(DefaultBodyLimit::max(MAX_PART_BYTES)))
}

async fn refuse_method(request: Request) -> ApiError {
    let message = format!("{} does not accept {}", without_secret(request.uri().path()), request.method());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        .hint("GET /api/v1/openapi.json lists all routes")
}
