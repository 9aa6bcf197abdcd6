//! Who may do what: roles, what a request may reach ([`grants`]), tokens, limits of agents ([`agent`]), people, projects, share links and the
//! audit log.

pub mod address;
pub mod agent;
pub mod audit;
pub mod embed;
pub mod grants;
pub mod link;
pub mod person;
pub mod project;
pub mod role;
pub mod session;
pub mod token;

pub use agent::{AgentLimits, AgentMode};
pub use grants::{Grants, Visible};
pub use project::{Membership, ProjectLimits};
pub use role::Role;
pub use session::{Me, SignInInfo};
pub use token::{CreatedToken, NewPersonalToken, NewToken, TokenKind, TokenView};
