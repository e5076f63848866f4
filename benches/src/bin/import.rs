//! What reading JSON lines in costs, beside the least that anybody could do: the same documents made with Automerge alone,
//! and the same rows inserted with rusqlite alone in one transaction, with the same syncing.

use afield::{Replica, Space};
use afield_benches::report::{exit_code, write_table};
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjId, ObjType, ROOT, ScalarValue};
use clap::Parser;
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::{Value, json};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// How many times longer an import may take than the plain way.
const RATIO_MAX: f64 = 2.0;

/// Measure an import beside plain Automerge and plain SQLite, in turns; fails above its target.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many entities
    #[arg(long, default_value_t = 10_000)]
    entities: usize,
    /// How many times each is measured; the medians are compared
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A kind of entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Five fields of strings, numbers and a timestamp.
    Scalars,
    /// Two of the fields are a text that merges and a list.
    Containers,
}

#[derive(Debug, Serialize)]
struct Row {
    kind: Kind,
    entities: usize,
    plain_ms: f64,
    import_ms: f64,
    ratio: f64,
}

fn main() -> ExitCode {
    exit_code("import", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let rows = [Kind::Scalars, Kind::Containers]
        .into_iter()
        .map(|kind| measure(kind, arguments))
        .collect::<Result<Vec<_>, _>>()?;
    show(arguments.json, &rows)?;
    match rows.iter().find(|row| row.ratio > RATIO_MAX) {
        Some(row) => Err(format!("{:.2} times the plain way, where {RATIO_MAX} is the most", row.ratio).into()),
        None => Ok(()),
    }
}

fn measure(kind: Kind, arguments: &Arguments) -> Result<Row, Box<dyn Error>> {
    let lines = lines(kind, arguments.entities)?;
    let (mut plain, mut import) = (Vec::new(), Vec::new());
    for _ in 0..arguments.repeats.max(1) {
        let folder = tempfile::tempdir()?;
        plain.push(timed(|| plainly(&folder.path().join("plain.db"), &lines))?);
        let replica = Replica::open(folder.path().join("import.db"))?;
        let space = replica.create_space("bench")?;
        import.push(timed(|| with_afield(&space, &lines, arguments.entities))?);
    }
    let (plain_ms, import_ms) = (median(plain)?, median(import)?);
    Ok(Row { kind, entities: arguments.entities, plain_ms, import_ms, ratio: import_ms / plain_ms })
}

/// The lines of an export.
fn lines(kind: Kind, entities: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut lines = Vec::new();
    for number in 0..entities {
        let id = format!("019b7700-0000-7000-8000-{number:012x}");
        serde_json::to_writer(&mut lines, &json!({ "collection": "notes", "id": id, "value": fields(kind, number) }))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn fields(kind: Kind, number: usize) -> Value {
    let body =
        format!("What is to be done about number {number}, in a sentence or two as people write them. Not more.");
    let common = json!({
        "title": format!("Note {number}"),
        "done": number.is_multiple_of(3),
        "due": { "$timestamp": 1_767_225_600_000_i64 + number as i64 * 60_000 },
    });
    let own = match kind {
        Kind::Scalars => json!({ "body": body, "priority": number % 5 }),
        Kind::Containers => json!({ "body": { "$text": body }, "tags": ["home", format!("tag{}", number % 50)] }),
    };
    let (Value::Object(mut common), Value::Object(own)) = (common, own) else { return Value::Null };
    common.extend(own);
    Value::Object(common)
}

fn with_afield(space: &Space, lines: &[u8], entities: usize) -> Result<(), Box<dyn Error>> {
    let imported = space.import(lines, |_| ())?;
    if imported.changed == entities as u64 { Ok(()) } else { Err("not everything was imported".into()) }
}

/// Parses each line, makes one change of it, and stores that with the entity and its fields as JSON, in one transaction.
fn plainly(path: &Path, lines: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(
        "CREATE TABLE entities (entity_row INTEGER PRIMARY KEY, entity TEXT NOT NULL UNIQUE, collection TEXT NOT NULL);
         CREATE TABLE projections (entity_row INTEGER PRIMARY KEY, json TEXT NOT NULL);
         CREATE TABLE changes (
             change_row INTEGER PRIMARY KEY, entity_row INTEGER NOT NULL, hash BLOB NOT NULL, bytes BLOB NOT NULL,
             UNIQUE (entity_row, hash)
         );",
    )?;
    let transaction = connection.transaction()?;
    {
        let mut entity = transaction.prepare("INSERT INTO entities (entity, collection) VALUES (?1, ?2)")?;
        let mut projection = transaction.prepare("INSERT INTO projections (entity_row, json) VALUES (?1, ?2)")?;
        let mut change = transaction.prepare("INSERT INTO changes (entity_row, hash, bytes) VALUES (?1, ?2, ?3)")?;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line)?;
            let value = line.get("value").ok_or("a line has a value")?;
            let mut document = AutoCommit::new();
            put(&mut document, &ROOT, value)?;
            document.commit();
            let made = document.get_last_local_change().ok_or("a document has a change")?;
            let [id, collection] = ["id", "collection"].map(|key| line.get(key).and_then(Value::as_str));
            let _ = entity.execute(params![id, collection])?;
            let row = transaction.last_insert_rowid();
            let _ = projection.execute(params![row, serde_json::to_string(value)?])?;
            let _ = change.execute(params![row, made.hash().0, made.raw_bytes()])?;
        }
    }
    Ok(transaction.commit()?)
}

fn put(document: &mut AutoCommit, map: &ObjId, value: &Value) -> Result<(), Box<dyn Error>> {
    for (key, value) in value.as_object().ok_or("an entity is an object")? {
        match value {
            Value::Bool(value) => document.put(map, key, *value)?,
            Value::Number(number) => document.put(map, key, number.as_i64().ok_or("a whole number")?)?,
            Value::String(text) => document.put(map, key, text.as_str())?,
            Value::Array(elements) => {
                let list = document.put_object(map, key, ObjType::List)?;
                for (index, element) in elements.iter().enumerate() {
                    document.insert(&list, index, element.as_str().ok_or("a string")?)?;
                }
            }
            Value::Object(tagged) => match (tagged.get("$text"), tagged.get("$timestamp").and_then(Value::as_i64)) {
                (Some(text), _) => {
                    let object = document.put_object(map, key, ObjType::Text)?;
                    document.splice_text(&object, 0, 0, text.as_str().ok_or("a text")?)?;
                }
                (_, Some(instant)) => document.put(map, key, ScalarValue::Timestamp(instant))?,
                _ => return Err("a value of an unknown kind".into()),
            },
            Value::Null => {}
        }
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn median(mut times: Vec<f64>) -> Result<f64, Box<dyn Error>> {
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().ok_or("it was measured at least once")?)
}

fn show(json: bool, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    if json {
        return Ok(writeln!(out, "{}", serde_json::to_string(rows)?)?);
    }
    let titles = ["entities", "kind", "plain, ms", "import, ms", "ratio"].map(str::to_owned).to_vec();
    let line = |row: &Row| {
        let kind = match row.kind {
            Kind::Scalars => "five plain fields",
            Kind::Containers => "with a text and a list",
        };
        let figures = [row.plain_ms, row.import_ms].map(|ms| format!("{ms:.0}"));
        let mut line = vec![row.entities.to_string(), kind.to_owned()];
        line.extend(figures);
        line.push(format!("{:.2}", row.ratio));
        line
    };
    let table: Vec<_> = std::iter::once(titles).chain(rows.iter().map(line)).collect();
    Ok(write_table(&mut out, &table)?)
}
