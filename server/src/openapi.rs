//! The API's description, made from the routes and types themselves.

use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// What the description says beside its routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "Kindling", description = "A training lab for language models. A refusal is {code, message, field?, hint?} with the fitting status."),
    modifiers(&Access),
    security(("bearer" = []), ("cookie" = [])),
    tags(
        (name = "runs", description = "Plan, start, watch and steer trainings."),
        (name = "texts", description = "Bring, generate, fetch and cut texts."),
        (name = "lab", description = "Devices, and everything in one answer."),
        (name = "access", description = "Signing in and out; tokens."),
        (name = "sockets", description = "Streams in postcard.")
    )
)]
pub struct Document;

struct Access;

impl Modify for Access {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_default();
        let bearer =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("From `kindling token`.")).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components
            .add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("kindling_PORT"))));
    }
}
