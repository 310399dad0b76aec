//! Parses recorded outcomes from CSV: what each model did on each task. Rows may be in any order; nothing is guessed,
//! and every error has its row and column.

use crate::base::money::Usd;
use std::collections::{BTreeMap, BTreeSet};

/// The header, which is also the order of the columns.
pub const COLUMNS: [&str; 5] = ["task_id", "model", "resolved", "cost_usd", "api_calls"];
/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most cells (tasks times models): what learning can hold in memory.
pub const MAX_CELLS: usize = 1_000_000;
/// The highest cost of a run that is accepted, in dollars.
const MAX_DOLLARS: f64 = 1e6;

/// The run of a model on a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Whether the task's own hidden tests pass.
    pub resolved: bool,
    /// The cost of the run.
    pub cost: Usd,
    /// The number of calls to the model.
    pub calls: u32,
}

/// A task and the runs of all models on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskOutcomes {
    /// The task's name in the file.
    pub id: String,
    /// The part before `__` in the name, usually a repository; `all` where there is none.
    pub group: String,
    /// The runs, in the order of [`Outcomes::models`].
    pub cells: Vec<Cell>,
}

/// A complete table: every model has a run on every task. Tasks and models are sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    /// The names of the models.
    pub models: Vec<String>,
    /// The tasks with their runs.
    pub tasks: Vec<TaskOutcomes>,
}

/// Why a file is not a table of outcomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutcomesError {
    /// The file is too large.
    #[error("{bytes} bytes are more than the {MAX_BYTES} that are read")]
    TooLarge {
        /// The size in bytes.
        bytes: usize,
    },
    /// The file has no rows.
    #[error("there is no row of data; expected the header {} and a row for each task and model", COLUMNS.join(","))]
    Empty,
    /// The header names other columns.
    #[error("row 1: the header is `{found}`, expected `{}`", COLUMNS.join(","))]
    Header {
        /// The header that was found.
        found: String,
    },
    /// The text is not UTF-8.
    #[error("row {row}{}: the text is not UTF-8", in_column(*.column))]
    NotText {
        /// The line in the file, from 1.
        row: u64,
        /// The column, where it is known.
        column: Option<&'static str>,
    },
    /// A row has more or fewer cells than the header.
    #[error("row {row}, column {column}: the row has {found} cells, expected {}", COLUMNS.len())]
    Cells {
        /// The line in the file, from 1.
        row: u64,
        /// The first column that is missing, or the last one.
        column: &'static str,
        /// The number of cells in the row.
        found: usize,
    },
    /// A cell has an invalid value.
    #[error("row {row}, column {column}: {problem}")]
    Cell {
        /// The line in the file, from 1.
        row: u64,
        /// The name of the column.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A model has no run on a task.
    #[error(
        "model `{model}` has no row for task `{task}` ({missing} rows are missing in all); every model needs one row for every task"
    )]
    Gap {
        /// The name of the task.
        task: String,
        /// The name of the model.
        model: String,
        /// The number of missing rows in total.
        missing: usize,
    },
    /// The table is too large to learn from.
    #[error("{tasks} tasks of {models} models are more than {MAX_CELLS} cells")]
    TooMany {
        /// The number of tasks.
        tasks: usize,
        /// The number of models.
        models: usize,
    },
    /// The text is not valid CSV.
    #[error("row {row}: {problem}")]
    Csv {
        /// The line in the file, from 1; 0 where there is none.
        row: u64,
        /// The message of the CSV reader.
        problem: String,
    },
}

fn in_column(column: Option<&str>) -> String {
    column.map(|name| format!(", column {name}")).unwrap_or_default()
}

/// Parses a CSV with the columns [`COLUMNS`].
///
/// # Errors
/// Returns the first error in the file, with row and column.
pub fn parse_outcomes(bytes: &[u8]) -> Result<Outcomes, OutcomesError> {
    if bytes.len() > MAX_BYTES {
        return Err(OutcomesError::TooLarge { bytes: bytes.len() });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut rows = Rows { bytes, at: 0, row: 1 };
    let mut records = reader.byte_records();
    check_header(records.next())?;
    let mut runs: BTreeMap<String, BTreeMap<String, (Cell, u64)>> = BTreeMap::new();
    let mut models = BTreeSet::new();
    for record in records {
        let record = record.map_err(|error| of_csv(&error))?;
        let row = rows.line_number(&record);
        let (task, model, cell) = read_row(&record, row)?;
        let of_task = runs.entry(task.clone()).or_default();
        if let Some((_, earlier)) = of_task.get(&model) {
            let problem = format!("task `{task}` already has a row for model `{model}`, in row {earlier}");
            return Err(OutcomesError::Cell { row, column: "model", problem });
        }
        models.insert(model.clone());
        of_task.insert(model, (cell, row));
    }
    gather(runs, models)
}

fn gather(
    runs: BTreeMap<String, BTreeMap<String, (Cell, u64)>>,
    models: BTreeSet<String>,
) -> Result<Outcomes, OutcomesError> {
    if runs.is_empty() {
        return Err(OutcomesError::Empty);
    }
    if runs.len().saturating_mul(models.len()) > MAX_CELLS {
        return Err(OutcomesError::TooMany { tasks: runs.len(), models: models.len() });
    }
    let gap = runs.iter().find_map(|(task, done)| models.iter().find(|m| !done.contains_key(*m)).map(|m| (task, m)));
    if let Some((task, model)) = gap {
        let missing = runs.values().map(|done| models.len() - done.len()).sum();
        return Err(OutcomesError::Gap { task: task.clone(), model: model.clone(), missing });
    }
    let tasks = runs.into_iter().map(|(id, done)| {
        let group = id.split_once("__").map_or("all", |(group, _)| group).to_owned();
        TaskOutcomes { id, group, cells: done.into_values().map(|(cell, _)| cell).collect() }
    });
    Ok(Outcomes { tasks: tasks.collect(), models: models.into_iter().collect() })
}

fn check_header(first: Option<csv::Result<csv::ByteRecord>>) -> Result<(), OutcomesError> {
    let first = first.ok_or(OutcomesError::Empty)?.map_err(|error| of_csv(&error))?;
    if first.iter().map(<[u8]>::trim_ascii).eq(COLUMNS.map(str::as_bytes)) {
        return Ok(());
    }
    let found: Vec<_> = first.iter().map(String::from_utf8_lossy).collect();
    let found: String = found.join(",").chars().take(200).collect();
    Err(OutcomesError::Header { found })
}

fn of_csv(error: &csv::Error) -> OutcomesError {
    OutcomesError::Csv { row: error.position().map_or(0, csv::Position::line), problem: error.to_string() }
}

/// Counts the lines of a file. The CSV reader's own count is too low before empty lines and after line ends of two
/// characters.
struct Rows<'a> {
    bytes: &'a [u8],
    /// The position up to which lines are counted.
    at: usize,
    /// The line at that position, from 1.
    row: u64,
}

impl Rows<'_> {
    /// Returns the line in which a record starts. Records must be passed in order.
    fn line_number(&mut self, record: &csv::ByteRecord) -> u64 {
        let place = record.position().and_then(|place| usize::try_from(place.byte()).ok()).unwrap_or_default();
        let rest = self.bytes.get(place..).unwrap_or_default();
        let begin = place + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        while self.at < begin {
            let next = self.bytes.get(self.at + 1);
            self.row += match self.bytes[self.at] {
                b'\n' => 1,
                b'\r' => u64::from(next != Some(&b'\n')),
                _ => 0,
            };
            self.at += 1;
        }
        self.row
    }
}

fn read_row(record: &csv::ByteRecord, row: u64) -> Result<(String, String, Cell), OutcomesError> {
    if record.len() != COLUMNS.len() {
        let column = COLUMNS.get(record.len()).copied().unwrap_or("api_calls");
        return Err(OutcomesError::Cells { row, column, found: record.len() });
    }
    let bad = |column: &'static str, problem: String| OutcomesError::Cell { row, column, problem };
    let text = |at: usize| {
        let column = COLUMNS[at];
        let cell =
            std::str::from_utf8(&record[at]).map_err(|_| OutcomesError::NotText { row, column: Some(column) })?;
        let cell = cell.trim();
        if cell.is_empty() {
            return Err(bad(column, "the cell is empty".to_owned()));
        }
        Ok(cell)
    };
    let (task, model) = (text(0)?.to_owned(), text(1)?.to_owned());
    let resolved = match text(2)? {
        "0" => false,
        "1" => true,
        other => return Err(bad("resolved", format!("`{other}` is neither 0 nor 1"))),
    };
    let cost = text(3)?;
    let dollars: f64 = cost.parse().map_err(|_| bad("cost_usd", format!("`{cost}` is not a number of dollars")))?;
    if !(0.0..=MAX_DOLLARS).contains(&dollars) {
        return Err(bad("cost_usd", format!("`{cost}` is no cost: expected 0 to {MAX_DOLLARS} dollars")));
    }
    let cost = Usd::from_dollars(dollars).ok_or_else(|| bad("cost_usd", format!("`{cost}` is out of range")))?;
    let calls = text(4)?;
    let calls = calls.parse().map_err(|_| bad("api_calls", format!("`{calls}` is not a number of calls")))?;
    Ok((task, model, Cell { resolved, cost, calls }))
}

#[cfg(test)]
mod tests;
