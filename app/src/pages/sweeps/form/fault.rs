//! A field of the form that cannot be read.

/// A text of the form that makes no valid field of the specification, found before the server is asked.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pages::sweeps) struct Fault {
    /// The path in the specification, as errors of the server name it.
    pub(super) field: String,
    /// Its problem, and what to enter.
    pub(in crate::pages::sweeps) message: String,
}
