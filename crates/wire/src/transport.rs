//! The messages between processes: worker and server ([`link`]), server and page ([`live`]).

pub mod link;
pub mod live;
