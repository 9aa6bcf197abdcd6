//! Boxed futures, for functions that nearly every function of the store awaits or that every test calls.
//!
//! The code of an `async fn` is generated where it is awaited: in each program, and in it in each codegen unit. That of a boxed future is
//! generated once, in this crate, where the function that boxes it is not inlined: it has `#[inline(never)]`. The box costs one allocation
//! per call, which is small beside a read or a write of a file.

use std::pin::Pin;

/// A future in a box.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
