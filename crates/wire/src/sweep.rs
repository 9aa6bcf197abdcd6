//! Sweeps: trials over a search space. A trial is a run of the ordinary queue with the values of one point.
//!
//! - [`spec`]: what a person writes: base, space, sampler, metric, stopping rule; [`command`]: what they do with it afterwards;
//! - [`record`]: sweeps, trials and decisions as they are stored and shown; [`preview`]: what a sweep would train;
//! - [`results`]: curves of trials and the importance of parameters;
//! - [`space`]: the parameters that vary, their values, conditions and constraints, and the points of trials; [`sampler`]: how points are
//!   chosen; [`stopping`]: rules that stop trials early.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /sweeps` | the [`Sweep`](record::Sweep)s that the sender may see, newest first |
//! | `POST /sweeps/preview` | the [`SweepPreview`](preview::SweepPreview) of a [`SweepSpec`](spec::SweepSpec) |
//! | `POST /sweeps` | starts a [`SweepSpec`](spec::SweepSpec) and answers its [`Sweep`](record::Sweep) |
//! | `GET /sweeps/{id}` | a [`SweepView`](record::SweepView): the sweep with its trials, or with those that changed |
//! | `GET /sweeps/{id}/decisions` | [`SweepDecision`](record::SweepDecision)s, oldest first |
//! | `POST /sweeps/{id}/commands` | carries out a [`SweepRequest`](command::SweepRequest) and answers the [`Sweep`](record::Sweep) |
//! | `GET /sweeps/{id}/importance` | a [`SweepImportance`](results::SweepImportance) |
//! | `GET /sweeps/{id}/curves` | a [`TrialCurve`](results::TrialCurve) for each trial with values |
//! | `GET /sweeps/{id}/trials.csv`, `.parquet` | the trials as a table |

pub mod command;
pub mod preview;
pub mod record;
pub mod results;
pub mod sampler;
pub mod space;
pub mod spec;
pub mod stopping;
