//! The trials of a sweep as a table: one row for each trial, one column for each parameter. A parameter that has no value in a trial is empty
//! there, and so is a number that a trial does not have.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use serde_json::Value;
use wire::RunId;
use wire::sweep::record::{Sweep, Trial};

use super::series::{quoted, to_io};

/// A column with a value for each trial that has one.
struct Column {
    name: String,
    cells: Cells,
}

enum Cells {
    Integers(Vec<Option<u64>>),
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
}

/// Writes CSV. Numbers have the fewest digits that are read back as the same value.
///
/// # Errors
/// An IO error; a reader that has disconnected.
pub fn write_csv(sweep: &Sweep, trials: &[Trial], out: &mut dyn Write) -> io::Result<()> {
    let columns = columns(sweep, trials);
    let line = |fields: Vec<String>| fields.join(",");
    writeln!(out, "{}", line(columns.iter().map(|column| quoted(&column.name)).collect()))?;
    for row in 0..trials.len() {
        writeln!(out, "{}", line(columns.iter().map(|column| column.cells.text(row)).collect()))?;
    }
    out.flush()
}

/// Writes Parquet.
///
/// # Errors
/// An IO error; a reader that has disconnected.
pub fn write_parquet(sweep: &Sweep, trials: &[Trial], out: &mut (dyn Write + Send)) -> io::Result<()> {
    write_columns(&columns(sweep, trials), out).map_err(to_io)
}

fn columns(sweep: &Sweep, trials: &[Trial]) -> Vec<Column> {
    let column = |name: &str, cells: Cells| Column { name: name.to_owned(), cells };
    let integers = |value: fn(&Trial) -> Option<u64>| Cells::Integers(trials.iter().map(value).collect());
    let numbers = |value: fn(&Trial) -> Option<f64>| Cells::Numbers(trials.iter().map(value).collect());
    let texts = |value: fn(&Trial) -> Option<String>| Cells::Texts(trials.iter().map(value).collect());
    let mut columns = vec![
        column("trial", integers(|trial| Some(trial.number))),
        column("attempt", integers(|trial| Some(u64::from(trial.attempt)))),
        column("run", texts(|trial| trial.run.as_ref().map(RunId::to_string))),
        column("state", texts(|trial| Some(trial.state.label().to_owned()))),
        column(&sweep.spec.metric.name, numbers(|trial| trial.last)),
        column("step", integers(|trial| trial.last_step)),
        column("best", numbers(|trial| trial.best)),
        column("reason", texts(|trial| trial.reason.clone())),
        column("seed", integers(|trial| trial.point.seed)),
    ];
    for name in sweep.spec.space.parameters.keys() {
        let values: Vec<Option<&Value>> = trials.iter().map(|trial| trial.point.values.get(name)).collect();
        columns.push(column(name, Cells::of(&values)));
    }
    columns
}

impl Cells {
    /// Numbers, if all values are; else the values as JSON, texts without quotes.
    fn of(values: &[Option<&Value>]) -> Self {
        if values.iter().flatten().all(|value| value.is_number()) {
            return Self::Numbers(values.iter().map(|value| value.and_then(Value::as_f64)).collect());
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self::Texts(values.iter().map(|value| value.map(text)).collect())
    }

    /// A cell as a field of CSV.
    fn text(&self, row: usize) -> String {
        let text = match self {
            Self::Integers(cells) => cells[row].map(|value| value.to_string()),
            Self::Numbers(cells) => cells[row].map(|value| value.to_string()),
            Self::Texts(cells) => cells[row].as_deref().map(quoted),
        };
        text.unwrap_or_default()
    }

    fn schema(&self, name: &str) -> Result<Type, ParquetError> {
        let (physical, converted) = match self {
            // Seeds may be larger than the largest signed integer.
            Self::Integers(_) => (Physical::INT64, ConvertedType::UINT_64),
            Self::Numbers(_) => (Physical::DOUBLE, ConvertedType::NONE),
            Self::Texts(_) => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        };
        let column = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        column.with_converted_type(converted).build()
    }
}

fn write_columns(columns: &[Column], out: &mut (dyn Write + Send)) -> Result<(), ParquetError> {
    let fields = columns.iter().map(|column| column.cells.schema(&column.name).map(Arc::new));
    let schema = Type::group_type_builder("trials").with_fields(fields.collect::<Result<_, _>>()?).build()?;
    let properties = WriterProperties::builder().set_created_by(format!("kindling {}", env!("CARGO_PKG_VERSION")));
    let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build()))?;
    let mut group = file.next_row_group()?;
    for column in columns {
        match &column.cells {
            Cells::Integers(cells) => write::<Int64Type, _, _>(&mut group, cells, |value| *value as i64)?,
            Cells::Numbers(cells) => write::<DoubleType, _, _>(&mut group, cells, |value| *value)?,
            Cells::Texts(cells) => {
                write::<ByteArrayType, _, _>(&mut group, cells, |text| ByteArray::from(text.as_str()))?
            }
        }
    }
    group.close()?;
    file.close().map(drop)
}

/// Writes a column; an empty cell has the definition level 0.
fn write<T: DataType, W: Write + Send, C>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    cells: &[Option<C>],
    value: impl Fn(&C) -> T::T,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the table has fewer columns than values".to_owned());
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.iter().flatten().map(value).collect();
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(&values, Some(&levels), None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    use serde_json::json;

    use super::*;

    fn sweep_with_trials() -> (Sweep, Vec<Trial>) {
        let spec = json!({
            "name": "rates", "trials": 2,
            "space": { "parameters": { "model.positions": { "choices": ["learned", "rotary"] }, "optimizer.learning_rate": { "log": [1e-4, 1e-2] } } },
        });
        let sweep = json!({
            "id": 1, "spec": spec, "project": "default", "creator": "ada", "created_ms": 0, "ended_ms": null, "state": "finished", "revision": 2,
            "message": null, "trials": 2, "counts": { "queued": 0, "running": 0, "finished": 1, "stopped": 0, "failed": 1 }, "best": null, "changes": 9,
        });
        let trial = |number: u64, last: Option<f64>, reason: Option<&str>, values: Value| {
            json!({
                "number": number, "point": { "values": values, "seed": 7 }, "run": last.map(|_| "amber-fox"), "attempt": 1,
                "state": if last.is_some() { "finished" } else { "failed" }, "last": last, "last_step": last.map(|_| 40), "best": last,
                "reason": reason, "is_exempt": false, "created_ms": 0, "ended_ms": 1,
            })
        };
        let trials = json!([
            trial(0, Some(2.5), None, json!({ "model.positions": "rotary", "optimizer.learning_rate": 0.001 })),
            trial(1, None, Some("It diverged, \"loss\" is NaN."), json!({ "optimizer.learning_rate": 0.01 })),
        ]);
        (serde_json::from_value(sweep).unwrap(), serde_json::from_value(trials).unwrap())
    }

    #[test]
    fn trials_as_csv() {
        let (sweep, trials) = sweep_with_trials();
        let mut csv = vec![];
        write_csv(&sweep, &trials, &mut csv).unwrap();
        let expected = "trial,attempt,run,state,loss.valid,step,best,reason,seed,model.positions,optimizer.learning_rate\n\
                        0,1,amber-fox,finished,2.5,40,2.5,,7,rotary,0.001\n\
                        1,1,,failed,,,,\"It diverged, \"\"loss\"\" is NaN.\",7,,0.01\n";
        assert_eq!(String::from_utf8(csv).unwrap(), expected);
    }

    #[test]
    fn trials_as_parquet() {
        let (sweep, mut trials) = sweep_with_trials();
        trials[1].point.seed = Some(u64::MAX);
        let mut file = vec![];
        write_parquet(&sweep, &trials, &mut file).unwrap();
        let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].get_ulong(0).unwrap(), rows[0].get_double(4).unwrap()), (0, 2.5));
        assert_eq!((rows[0].get_ulong(8).unwrap(), rows[1].get_ulong(8).unwrap()), (7, u64::MAX));
        assert_eq!(rows[0].get_string(9).unwrap(), "rotary");
        assert!(rows[1].get_double(4).is_err() && rows[1].get_string(9).is_err(), "empty cells are null");
        assert_eq!(rows[1].get_double(10).unwrap(), 0.01);
    }
}
