//! Windows of series: single points if they are few, else buckets of equally many points with their minimum and maximum.

use std::io;
use std::sync::Mutex;

use wire::RunPlan;
use wire::series::{Axis, Bucket, SeriesWindow};

use super::axis::StepToX;
use super::folder::RunFolder;
use super::lock::lock;
use super::point::{StoredBucket, aggregate};
use super::pyramid::{FAN, Reader};
use crate::error::StoreError;

/// Maximum number of buckets in a window.
const MAX_BUCKETS: usize = 5000;

/// A range of some series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesQuery {
    /// Names of series.
    pub names: Vec<String>,
    /// The x axis.
    pub axis: Axis,
    /// First x value, in the unit of the axis; by default the beginning.
    pub from: Option<f64>,
    /// Last x value, inclusive; by default the end.
    pub to: Option<f64>,
    /// Maximum number of buckets, 1 to 5,000; a window with fewer points has single points.
    pub points: usize,
}

/// Windows in order of the names in the query, then of segments. The folder is locked only to read lengths: reading never waits for writing.
pub(super) fn answer(
    folder: &Mutex<RunFolder>,
    query: &SeriesQuery,
    plan: &RunPlan,
) -> Result<Vec<SeriesWindow>, StoreError> {
    let segments = lock(folder).segments()?;
    let mut windows = vec![];
    for segment in segments {
        let mut to_x = StepToX::new(&mut lock(folder), segment, query.axis, plan)?;
        let failed = |source| lock(folder).missing_or(source);
        let steps = to_x.steps(query.from, query.to).map_err(failed)?;
        for (order, name) in query.names.iter().enumerate() {
            let Some(mut reader) = lock(folder).reader(segment, name)? else { continue };
            let (total, buckets, is_exact) =
                window(&mut reader, &mut to_x, steps, query.points.clamp(1, MAX_BUCKETS)).map_err(failed)?;
            windows.push((order, SeriesWindow { name: name.clone(), segment, buckets, total, is_exact }));
        }
    }
    windows.sort_by_key(|(order, window)| (*order, window.segment));
    Ok(windows.into_iter().map(|(_, window)| window).collect())
}

fn window(
    reader: &mut Reader,
    to_x: &mut StepToX,
    (first, end): (u64, Option<u64>),
    points: usize,
) -> io::Result<(u64, Vec<Bucket>, bool)> {
    let from = reader.find(first)?;
    let to = end.map_or(Ok(reader.len), |end| reader.find(end))?.max(from);
    let is_exact = to - from <= points as u64;
    let stored = if is_exact { reader.buckets(0, from, to - from)? } else { coarse(reader, from, to, points as u64)? };
    let buckets = stored.iter().map(|each| bucket(each, to_x)).collect::<io::Result<_>>()?;
    Ok((to - from, buckets, is_exact))
}

/// Points `from..to` in at most `most` buckets. All but the edges begin and end at multiples of one width, which is a number of stored
/// buckets of one level: each needs 1 to 32 consecutive records, and the limits stay while a user scrolls.
fn coarse(reader: &mut Reader, from: u64, to: u64, most: u64) -> io::Result<Vec<StoredBucket>> {
    if most == 1 {
        return Ok(reader.aggregate(from, to, (to - from).ilog(FAN) as usize)?.into_iter().collect());
    }
    let wanted = (to - from).div_ceil(most);
    let level = wanted.ilog(FAN) as usize;
    let size = FAN.pow(level as u32);
    let mut width = wanted.next_multiple_of(size);
    while to.div_ceil(width) - from / width > most {
        width += size;
    }
    let (low, high) = (from.next_multiple_of(width), to - to % width);
    if low > high {
        return Ok(reader.aggregate(from, to, level + 1)?.into_iter().collect());
    }
    let mut stored: Vec<StoredBucket> = reader.aggregate(from, low, level)?.into_iter().collect();
    let records = reader.buckets(level, low / size, (high - low) / size)?;
    stored.extend(records.chunks((width / size) as usize).filter_map(|chunk| aggregate(chunk.iter().copied())));
    stored.extend(reader.aggregate(high, to, level)?);
    Ok(stored)
}

/// A bucket with its x values. Without finite values min, max and mean are 0, which JSON can encode, with a count of 0.
fn bucket(stored: &StoredBucket, to_x: &mut StepToX) -> io::Result<Bucket> {
    let (min, max, mean) = if stored.count == 0 { (0.0, 0.0, 0.0) } else { (stored.min, stored.max, stored.mean) };
    let (x, last_x) = (to_x.x(stored.first_step)?, to_x.x(stored.last_step)?);
    Ok(Bucket { step: stored.first_step, last_step: stored.last_step, x, last_x, min, max, mean, count: stored.count })
}
