//! The commands to a run ([`command`]) and the events of its journal ([`event`]), with the types that they use: checkpoints,
//! interventions, the live hyperparameters that changes apply to, the reasons that the program itself gives, and changes of the rules in words.

pub mod author;
pub mod checkpoint;
pub mod command;
pub mod event;
pub mod intervention;
pub mod live;
pub mod reason;
pub mod rule_change;
pub mod saved_schedule;
