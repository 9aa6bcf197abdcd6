//! `kindling bench --largest`: the largest models that train in a given memory, by the planner.

use std::fmt::Write;

use engine::device::EngineDevice;
use wire::number::grouped;
use wire::run::largest::{LargestModel, Room, largest_models};

use super::BenchError;

/// The largest models that train on this machine's CPU in `gib` GiB; by default in its free memory.
///
/// # Errors
/// The number is not positive, or the system does not report its memory.
pub(super) fn find(gib: Option<f64>) -> Result<(Room, Vec<LargestModel>), BenchError> {
    let info = EngineDevice::processor().info;
    let memory_bytes = match gib {
        Some(gib) if gib.is_finite() && gib > 0.0 => (gib * f64::from(1 << 30)) as u64,
        Some(gib) => return Err(BenchError::Memory { gib }),
        None if info.memory_bytes > 0 => info.memory_bytes,
        None => return Err(BenchError::UnknownMemory),
    };
    let room = Room { memory_bytes, kind: info.kind, cores: info.cores };
    Ok((room, largest_models(room)))
}

/// The table as text.
pub(super) fn table(room: Room, found: &[LargestModel]) -> String {
    let mut text = format!(
        "largest models that train on the CPU in {:.1} GB of memory, as planned\n",
        gigabytes(room.memory_bytes)
    );
    let _ = writeln!(
        text,
        "{:<8} {:>10} {:<16} {:>7} {:>7} {:>15} {:>8}",
        "family", "batch size", "activations", "layers", "width", "parameters", "GB"
    );
    for LargestModel { family, batch_size, recompute, model } in found {
        let activations = if *recompute { "recomputed" } else { "kept" };
        let sizes = model.as_ref().map_or("none fits".to_owned(), |model| {
            let (parameters, memory) = (grouped(model.parameters), gigabytes(model.memory_bytes));
            format!("{:>7} {:>7} {parameters:>15} {memory:>8.1}", model.layers, model.d_model)
        });
        let _ = writeln!(text, "{:<8} {batch_size:>10} {activations:<16} {sizes}", family.label());
    }
    text
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
