//! Time series as tables, one row for each point of each series. Every point is written, and abandoned segments are marked.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use store::{Curve, CurvePoint};

/// Rows of one row group: about 4 MB in memory.
const GROUP: usize = 1 << 16;
const HEADER: &[u8] = b"segment,series,step,tokens,secs,flops,value,abandoned\n";
const SCHEMA: &str = "message series {
    required int32 segment;
    required binary series (UTF8);
    required int64 step;
    required double tokens;
    required double secs;
    required double flops;
    required double value;
    required boolean abandoned;
}";

/// Writes CSV. Numbers have the fewest digits that are read back as the same value.
///
/// # Errors
/// An IO error; a reader that has disconnected.
pub fn write_csv(curves: Vec<Curve>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEADER)?;
    for mut curve in curves {
        let name = quoted(&curve.name);
        loop {
            let points = curve.read().map_err(io::Error::other)?;
            if points.is_empty() {
                break;
            }
            for CurvePoint { step, tokens, secs, flops, value, is_abandoned } in points {
                writeln!(out, "{},{name},{step},{tokens},{secs},{flops},{value},{is_abandoned}", curve.segment)?;
            }
        }
    }
    out.flush()
}

/// A name as a field, quoted if it contains a separator (RFC 4180).
pub(super) fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

/// Writes Parquet.
///
/// # Errors
/// An IO error; a reader that has disconnected.
pub fn write_parquet(curves: Vec<Curve>, out: &mut (dyn Write + Send)) -> io::Result<()> {
    write_columns(curves, out).map_err(to_io)
}

/// The IO error that a Parquet error holds, or else one that holds it.
pub(super) fn to_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}

fn write_columns(curves: Vec<Curve>, out: &mut (dyn Write + Send)) -> Result<(), ParquetError> {
    let properties = WriterProperties::builder().set_created_by(format!("kindling {}", env!("CARGO_PKG_VERSION")));
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties.build()))?;
    let mut columns = Columns::default();
    for mut curve in curves {
        let name = ByteArray::from(curve.name.as_str());
        loop {
            let points = curve.read().map_err(|source| ParquetError::External(Box::new(source)))?;
            if points.is_empty() {
                break;
            }
            points.iter().for_each(|point| columns.add(curve.segment, &name, point));
            if columns.step.len() >= GROUP {
                columns.write(&mut file)?;
            }
        }
    }
    if !columns.step.is_empty() {
        columns.write(&mut file)?;
    }
    file.close().map(drop)
}

/// The rows of one group, by column.
#[derive(Default)]
struct Columns {
    segment: Vec<i32>,
    series: Vec<ByteArray>,
    step: Vec<i64>,
    tokens: Vec<f64>,
    secs: Vec<f64>,
    flops: Vec<f64>,
    value: Vec<f64>,
    abandoned: Vec<bool>,
}

impl Columns {
    fn add(&mut self, segment: u32, series: &ByteArray, point: &CurvePoint) {
        self.segment.push(segment as i32);
        self.series.push(series.clone());
        self.step.push(point.step as i64);
        self.tokens.push(point.tokens);
        self.secs.push(point.secs);
        self.flops.push(point.flops);
        self.value.push(point.value);
        self.abandoned.push(point.is_abandoned);
    }

    fn write<W: Write + Send>(&mut self, file: &mut SerializedFileWriter<W>) -> Result<(), ParquetError> {
        let Self { segment, series, step, tokens, secs, flops, value, abandoned } = std::mem::take(self);
        let mut group = file.next_row_group()?;
        column::<Int32Type, W>(&mut group, &segment)?;
        column::<ByteArrayType, W>(&mut group, &series)?;
        column::<Int64Type, W>(&mut group, &step)?;
        for values in [tokens, secs, flops, value] {
            column::<DoubleType, W>(&mut group, &values)?;
        }
        column::<BoolType, W>(&mut group, &abandoned)?;
        group.close().map(drop)
    }
}

fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the table has fewer columns than values".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}
