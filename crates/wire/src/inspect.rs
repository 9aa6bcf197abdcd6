//! Inspections of a model: the requests ([`request`]), their results ([`result`]), and the update that carries a result to a page or
//! into a snapshot ([`update`]).

pub mod request;
pub mod result;
pub mod statistics;
pub mod update;
