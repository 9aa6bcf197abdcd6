//! The paths under which programs reach the server.

/// Where the routes of the API begin.
pub const API: &str = "/api/v1";
/// The path at which agents connect.
pub const AGENTS: &str = "/mcp";
