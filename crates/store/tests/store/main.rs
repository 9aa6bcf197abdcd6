//! What the lab remembers, told as stories; and the properties that hold whatever happens to it.

mod curves;
mod faults;
mod lab;
mod stories;
