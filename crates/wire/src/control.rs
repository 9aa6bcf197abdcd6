//! The commands to a run ([`command`]) and the events of its journal ([`event`]), with the types that they use: checkpoints,
//! interventions, the live hyperparameters that changes apply to, and the reasons that the program itself gives.

pub mod author;
pub mod checkpoint;
pub mod command;
pub mod event;
pub mod intervention;
pub mod live;
pub mod reason;
pub mod saved_schedule;
