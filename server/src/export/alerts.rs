//! Alerts: raised, written to the outbox, and sent to the channels of people and of the lab.
//!
//! The journal raises alerts of runs in the transaction of their event (`store`), [`devices`] those of machines. [`outbox`] is the one task that
//! sends: it writes the messages first, so that a server that is killed sends them after its next start, and sends a message again, with
//! the same id, until the receiver accepts it or a day has passed.
//!
//! - [`conditions`]: who may create which conditions on metrics; [`channels`]: who may create which channel;
//! - [`outbox`]: messages, repeated attempts and their results; [`send`]: one attempt, by [`http`] or [`email`];
//! - [`text`]: what receivers get; [`error`]: why a message was not accepted; [`devices`]: alerts of machines.
//!
//! A member of the lab must not reach its network through a channel. So only admins of the lab enter addresses; other people have channels
//! to the e-mail address of their account and to topics of the lab's ntfy server. Redirects are not followed.

pub mod channels;
pub mod conditions;
pub mod devices;
mod email;
pub mod error;
mod http;
pub mod outbox;
pub mod send;
mod text;
