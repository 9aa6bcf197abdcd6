//! A list of routes. The router is made of it at once, the description of the API when somebody requests it: to describe all types takes
//! longer than the rest of a start (13 ms), and 12 MB.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::MethodRouter;
use utoipa::Path;
use utoipa::openapi::HttpMethod;
use utoipa_axum::PathItemExt;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::lab::Lab;

/// Routes below the path of the API.
#[derive(Default)]
pub struct Routes {
    pub router: Router<Lab>,
    pub operations: Vec<Operation>,
    pub descriptions: Descriptions,
}

/// One operation of the API.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    /// Below the path of the API, with its parameters in braces.
    pub path: String,
    /// Name of its handler.
    pub id: &'static str,
}

/// The handlers of one path; [`routes`] makes it.
pub struct PathRoutes {
    pub handlers: Vec<HandlerRoute>,
    pub describe: fn() -> UtoipaMethodRouter<Lab>,
}

/// The route of one handler.
pub struct HandlerRoute {
    operations: Vec<Operation>,
    router: MethodRouter<Lab>,
}

/// What describes routes, not yet evaluated.
#[derive(Default)]
pub struct Descriptions(Vec<fn() -> UtoipaMethodRouter<Lab>>);

impl Routes {
    /// Adds the handlers of one path.
    pub fn routes(mut self, added: PathRoutes) -> Self {
        for HandlerRoute { operations, router } in added.handlers {
            for operation in &operations {
                self.router = self.router.route(&operation.path, router.clone());
            }
            self.operations.extend(operations);
        }
        self.descriptions.0.push(added.describe);
        self
    }

    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self.descriptions.0.extend(other.descriptions.0);
        self
    }

    /// Changes the router, for a layer around these routes.
    pub fn map_router(mut self, change: impl FnOnce(Router<Lab>) -> Router<Lab>) -> Self {
        self.router = change(self.router);
        self
    }
}

impl HandlerRoute {
    /// The route of a handler; `P` is what utoipa derives beside it.
    pub fn new<P: Path, H: Handler<T, Lab>, T: 'static>(id: &'static str, handler: H) -> Self {
        let methods = P::methods();
        let router = methods
            .iter()
            .fold(MethodRouter::new(), |router, method| router.on(method.to_method_filter(), handler.clone()));
        let operations = methods.iter().map(|method| Operation { method: name(method), path: P::path(), id }).collect();
        Self { operations, router }
    }
}

impl Descriptions {
    /// Describes the routes.
    pub fn describe(&self) -> OpenApiRouter<Lab> {
        self.0.iter().fold(OpenApiRouter::new(), |all, describe| all.routes(describe()))
    }
}

fn name(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}

/// The routes of handlers with a common path: `routes!(runs::list_runs, runs::create_run)`.
macro_rules! routes {
    ($($module:ident::$handler:ident),+ $(,)?) => {
        $crate::api::routes::PathRoutes {
            handlers: vec![$(
                utoipa_axum::paste! {
                    $crate::api::routes::HandlerRoute::new::<$module::[<__path_ $handler>], _, _>(
                        stringify!($handler),
                        $module::$handler,
                    )
                }
            ),+],
            describe: || utoipa_axum::routes!($($module::$handler),+),
        }
    };
}

pub(super) use routes;
