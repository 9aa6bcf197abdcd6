//! The program `kindling`.
fn main() {}
