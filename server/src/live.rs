//! The live state of the lab, as open pages see it.
//!
//! - [`hub`]: the stream of each run, in ticks; [`feed`]: changes to runs, stored first and then published to the hub;
//! - [`diagnosis`]: the rules that read runs as they train; [`subscriptions`]: the inspections that pages request;
//! - [`trial_watch`]: what happens to the runs of sweeps;
//! - [`audience`]: what a page may see; [`lab_state`]: the lab in one message; [`page_socket`]: the WebSocket of a page;
//!   [`polling`]: pages without one; [`presenting`]: pages that others follow;
//! - [`access_changes`]: changes of rights, which open pages follow; [`places`]: how many pages one sender may open;
//! - [`clock`]: the server's clock.
//!
//! This module does not depend on workers and jobs; [`crate::lab`] passes in functions that read their state.

pub mod access_changes;
pub mod audience;
pub mod clock;
pub mod diagnosis;
pub mod feed;
pub mod hub;
pub mod lab_state;
pub mod page_socket;
pub mod places;
pub mod polling;
pub mod presenting;
pub mod subscriptions;
pub mod trial_watch;

pub use feed::Feed;
pub use hub::Hub;
pub use lab_state::LabStates;
pub use subscriptions::Subscriptions;
