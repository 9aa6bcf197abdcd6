//! The messages between processes: worker and server ([`link`], with [`note`]s, and files by [`transfer`]), server and page
//! ([`live`], with [`presenting`]).

pub mod link;
pub mod live;
pub mod note;
pub mod presenting;
pub mod transfer;
