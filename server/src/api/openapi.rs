//! The description of the API, generated from the routes and types.

use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// The general part of the description.
#[derive(OpenApi)]
#[openapi(
    info(title = "Kindling", description = "A training lab for language models. Errors have the body {code, message, field?, hint?}."),
    modifiers(&Access),
    security(("bearer" = []), ("cookie" = [])),
    tags(
        (name = "runs", description = "Plan, create, watch and steer runs; export and import them."),
        (name = "inspect", description = "Inspect models: inspections, snapshots, completions."),
        (name = "data", description = "Upload, generate, download and tokenize datasets."),
        (name = "access", description = "Sign in and out; manage tokens."),
        (name = "lab", description = "Devices, jobs, and the whole lab in one answer."),
        (name = "sockets", description = "WebSockets of pages and workers, in postcard.")
    )
)]
pub struct Document;

struct Access;

impl Modify for Access {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_default();
        let bearer =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`kindling token` creates it.")).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme(
            "cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                "kindling_LAB",
                "The name ends with the id of the lab, which is in the file `id` of its folder.",
            ))),
        );
    }
}
