//! Writes a lab with a thousand runs of a hundred metrics and one long, much-steered run (200 segments, 5,000 events), to look at them
//! with `kindling serve --data FOLDER`.

use std::path::PathBuf;

use store::{NewRun, Store};
use wire::control::checkpoint::{Cause, CheckpointInfo};
use wire::series::Row;
use wire::transport::link::{Item, Report};
use wire::{Author, CheckpointId, Event, LivePath, RunState};

use crate::{Outcome, new_run};

/// Segments and events of the long run.
const SEGMENTS: u32 = 200;
const EVENTS: usize = 5_000;
/// Steps of the long run that stay on its path per segment, and those that are abandoned.
const KEPT: u64 = 50;
const ABANDONED: u64 = 30;

/// Arguments: the folder and the number of runs.
pub(crate) async fn run(arguments: &[String]) -> Outcome<()> {
    let folder = PathBuf::from(arguments.first().ok_or("name a folder")?);
    let runs: u64 = arguments.get(1).map_or(Ok(1_000), |count| count.parse())?;
    let store = Store::open(&folder).await?;
    for number in 0..runs {
        short_run(&store, number).await?;
    }
    long_run(&store, runs).await?;
    store.close().await;
    Ok(())
}

/// A plausible number from 0 to 1 for a place: the same in each run of this program.
fn noise(place: u64) -> f64 {
    let mixed = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

/// A run that differs from its neighbours in preset, seed and learning rate.
fn numbered_run(id: &str, number: u64, steps: u64) -> Outcome<NewRun> {
    let preset = ["nanogpt-cpu", "tiny"][(number % 2) as usize];
    let rate = [1e-4, 3e-4, 6e-4, 1e-3, 3e-3][(number % 5) as usize];
    let spec = serde_json::json!({
        "corpus": "tales", "preset": preset, "steps": steps, "seed": number % 7, "overrides": {"optimizer.learning_rate": rate}
    });
    let created_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
    let references =
        wire::run::References { ln_vocab: 6.93, unigram: Some(5.1), floor: Some(1.4), bytes_per_token: Some(3.2) };
    Ok(NewRun { references, created_ms, author: person(), ..new_run(id, spec)? })
}

fn person() -> Author {
    Author::Person("ada".into())
}

fn report(segment: u32, step: u64, author: Author, event: Event, state: Option<RunState>) -> Item {
    let at_ms = 1_780_000_000_000 + step as i64 * 400;
    Item::Event(Report { segment, step, at_ms, author, command_id: None, reason: None, event, state })
}

fn loss(step: u64, spread: f64) -> f64 {
    1.4 + 5.4 / (1.0 + step as f64 / 60.0).powf(0.75) + spread * (noise(step) - 0.5)
}

/// A finished run of 40 steps with a hundred metrics.
async fn short_run(store: &Store, number: u64) -> Outcome<()> {
    let name = ["amber-fox", "birch-owl", "cedar-elk", "delta-bee"][(number % 4) as usize];
    let run = numbered_run(&format!("{name}-{number}"), number, 40)?;
    store.create_run(&run).await?;
    let shift = noise(number * 31);
    let mut items = vec![report(0, 0, Author::System, Event::Started { parameters: 800_000 }, Some(RunState::Running))];
    for step in 0..40 {
        let mut values = vec![
            ("loss.train".to_owned(), loss(step * 20, 0.2) + shift),
            ("secs".to_owned(), step as f64 * 0.4),
            ("tokens_per_sec".to_owned(), 9_000.0 + 2_000.0 * noise(number)),
            ("grad_norm".to_owned(), 0.5 + noise(number * 97 + step)),
        ];
        if step == 39 {
            values.push(("loss.valid".to_owned(), loss(800, 0.1) + shift));
            values.extend((0..95).map(|metric| (format!("weight_rms/block.{metric}"), noise(number * 131 + metric))));
        }
        items.push(Item::Row(Row { segment: 0, step, values }));
    }
    if number % 9 == 0 {
        let text = format!("note of run {number}: the loss plateaued");
        items.push(report(0, 39, person(), Event::Annotated { text }, None));
    }
    let ended = if number % 23 == 0 { RunState::Failed } else { RunState::Finished };
    let end = match ended {
        RunState::Failed => Event::Failed { message: "the device ran out of memory".into() },
        _ => Event::Finished,
    };
    items.push(report(0, 39, Author::System, end, Some(ended)));
    store.ingest(&run.id, 1, items).await?;
    let tags: Vec<String> = [(number % 3 == 0, "baseline"), (number % 5 == 0, "sweep-lr"), (number % 50 == 0, "paper")]
        .into_iter()
        .filter_map(|(has, tag)| has.then(|| tag.to_owned()))
        .collect();
    store.set_tags(&run.id, &tags).await?;
    if number % 17 == 0 {
        store.set_archived(&run.id, true).await?;
    }
    Ok(())
}

/// A run that was rolled back again and again, with changes, notes and evaluations in between.
async fn long_run(store: &Store, number: u64) -> Outcome<()> {
    let run = numbered_run("long-run", number, 20_000)?;
    store.create_run(&run).await?;
    let mut seq = 1;
    let mut send = async |items: Vec<Item>| -> Outcome<()> {
        let count = items.len() as u64;
        store.ingest(&run.id, seq, items).await?;
        seq += count;
        Ok(())
    };
    send(vec![report(0, 0, Author::System, Event::Started { parameters: 800_000 }, Some(RunState::Running))]).await?;
    let per_segment = EVENTS / SEGMENTS as usize;
    for segment in 0..SEGMENTS {
        let first = u64::from(segment) * KEPT;
        let mut items: Vec<Item> = (first..first + KEPT + ABANDONED).map(|step| value_row(segment, step)).collect();
        // Two events of each segment are its checkpoint and the rollback that follows.
        items.extend((0..per_segment - 2).map(|place| event_of(segment, first, place)));
        let info = checkpoint(segment, first + KEPT);
        items.push(report(
            segment,
            first + KEPT,
            Author::System,
            Event::Checkpointed { checkpoint: info.clone() },
            None,
        ));
        send(items).await?;
        if segment + 1 < SEGMENTS {
            let event = Event::RolledBack {
                checkpoint: info.id,
                from_segment: segment,
                from_step: first + KEPT + ABANDONED,
                skip_batches: 0,
                best_valid: Some(loss(first, 0.0)),
            };
            send(vec![report(segment + 1, first + KEPT, person(), event, None)]).await?;
        }
    }
    let last = u64::from(SEGMENTS) * KEPT;
    send(vec![report(SEGMENTS - 1, last, Author::System, Event::Finished, Some(RunState::Finished))]).await
}

fn value_row(segment: u32, step: u64) -> Item {
    let place = u64::from(segment) * 1_000_003 + step;
    let spread = 0.25 * (noise(place) - 0.5);
    let mut values = vec![
        ("loss.train".to_owned(), loss(step, 0.0) + spread + 0.02 * noise(u64::from(segment))),
        ("secs".to_owned(), step as f64 * 0.4),
        ("grad_norm".to_owned(), 0.5 + noise(place)),
        ("learning_rate".to_owned(), 1e-3 * (1.0 - step as f64 / 20_000.0)),
        ("tokens_per_sec".to_owned(), 9_000.0 + 500.0 * noise(place)),
    ];
    if step % 10 == 0 {
        values.push(("loss.valid".to_owned(), loss(step, 0.0) + 0.05 + 0.03 * noise(place)));
    }
    Item::Row(Row { segment, step, values })
}

fn event_of(segment: u32, first: u64, place: usize) -> Item {
    let step = first + place as u64 * 2;
    let agent = Author::Agent("tuner".into());
    let rate = |change: f64| 1e-3 * (1.0 + change * noise(step));
    let (author, event) = match place % 6 {
        0 => (person(), Event::Paused),
        1 => (person(), Event::Resumed),
        2 => (agent, Event::Changed { path: LivePath::LEARNING_RATE, old: rate(0.1), new: rate(-0.1) }),
        3 => (
            Author::Rule("plateau".into()),
            Event::Annotated { text: format!("the loss stopped falling at step {step}") },
        ),
        4 => (
            Author::System,
            Event::Evaluated { loss_nats: loss(step, 0.0), bits_per_byte: loss(step, 0.0) / 2.2, windows: None },
        ),
        _ => (person(), Event::Annotated { text: format!("look at step {step} again") }),
    };
    report(segment, step, author, event, None)
}

fn checkpoint(segment: u32, step: u64) -> CheckpointInfo {
    CheckpointInfo {
        id: CheckpointId { segment, step },
        cause: Cause::Requested,
        at_ms: 1_780_000_000_000 + step as i64 * 400,
        bytes: 9_600_000,
        hash: "00".repeat(32),
        changes: segment,
        loss_train: Some(loss(step, 0.0)),
        loss_valid: Some(loss(step, 0.0) + 0.05),
        best_valid: Some(loss(step, 0.0) + 0.05),
    }
}
