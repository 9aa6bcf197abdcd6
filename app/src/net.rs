//! The network: [`api`] is the only module that fetches, [`live`] the only one that opens a socket. Neither shows
//! anything.

pub(crate) mod api;
pub(crate) mod live;
