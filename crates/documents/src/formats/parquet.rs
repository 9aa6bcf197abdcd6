//! Apache Parquet: the column with the text is read page by page, the others are not read.

use std::fs::File;

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use wire::data::import::Reason;

use crate::error::Stopped;
use crate::formats::quoted;
use crate::intake::Intake;

/// Values that are decoded at once.
const BATCH: usize = 16;

/// Reads all rows of a table.
pub(crate) fn read(file: File, intake: &mut Intake<'_>) -> Result<(), Stopped> {
    let mut row = 0;
    match read_rows(file, &mut row, intake) {
        Ok(()) => Ok(()),
        Err(TableFault::Stopped(stopped)) => Err(stopped),
        Err(TableFault::Table(error)) => {
            let line = (row > 0).then_some(row);
            intake.skip(line, Reason::Malformed, format!("the Parquet table cannot be read from here: {error}"))
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum TableFault {
    #[error(transparent)]
    Table(#[from] ParquetError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

fn read_rows(file: File, row: &mut u64, intake: &mut Intake<'_>) -> Result<(), TableFault> {
    let table = SerializedFileReader::new(file)?;
    let schema = table.metadata().file_metadata().schema_descr();
    let names: Vec<(usize, String)> = schema
        .columns()
        .iter()
        .enumerate()
        .filter(|(_, column)| has_text(column))
        .map(|(place, column)| (place, column.path().string()))
        .collect();
    for (place, name) in &names {
        let bytes = table.metadata().row_groups().iter().map(|group| group.column(*place).uncompressed_size());
        intake.count_column(name, table.metadata().file_metadata().num_rows() as u64, bytes.sum::<i64>() as u64);
    }
    let wanted = intake.wanted();
    let Some((column, name)) = wanted.iter().find_map(|wanted| names.iter().find(|(_, name)| name == wanted)).cloned()
    else {
        let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
        let message = format!("there is no text column {:?}; text columns: {}", wanted[0], quoted(&names));
        return Ok(intake.skip(None, Reason::Field, message)?);
    };
    intake.found_field();
    for group in 0..table.num_row_groups() {
        if intake.was_cut.get() {
            break;
        }
        let rows = table.get_row_group(group)?;
        if let ColumnReader::ByteArrayColumnReader(reader) = rows.get_column_reader(column)? {
            read_column(reader, &name, row, intake)?;
        }
        intake.add_bytes(table.metadata().row_group(group).compressed_size() as u64);
    }
    Ok(())
}

fn read_column(
    mut reader: ColumnReaderImpl<ByteArrayType>,
    name: &str,
    row: &mut u64,
    intake: &mut Intake<'_>,
) -> Result<(), TableFault> {
    let (mut values, mut levels): (Vec<ByteArray>, Vec<i16>) = (vec![], vec![]);
    loop {
        values.clear();
        levels.clear();
        let (records, present, _) = reader.read_records(BATCH, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Ok(());
        }
        // Columns without nulls have no levels.
        let highest = levels.iter().copied().max().unwrap_or(0);
        let is_present = |place: usize| present == records || levels.get(place) == Some(&highest);
        // Read by the bytes of its texts, since a table has no beginning that could be read alone.
        if intake.file_text_bytes() > intake.limit {
            intake.was_cut.set(true);
            return Ok(());
        }
        let mut values = values.iter();
        for place in 0..records {
            *row += 1;
            let value = if is_present(place) && present > 0 { values.next() } else { None };
            match value.map(|value| std::str::from_utf8(value.data())) {
                Some(Ok(text)) => intake.text(text, *row)?,
                Some(Err(_)) => intake.skip(Some(*row), Reason::Encoding, "the value is not UTF-8 text")?,
                None => {
                    let message = format!("the field {name:?} has null instead of text");
                    intake.skip(Some(*row), Reason::Field, message)?;
                }
            }
        }
    }
}

/// Whether a column has texts: one for each row, not a list of them.
fn has_text(column: &ColumnDescriptor) -> bool {
    let is_string = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::String | LogicalType::Json | LogicalType::Enum), _) => true,
        (None, ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM | ConvertedType::NONE) => true,
        _ => false,
    };
    column.physical_type() == Type::BYTE_ARRAY && column.max_rep_level() == 0 && is_string
}
