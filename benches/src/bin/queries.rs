//! What queries cost over many entities in a real file: along an index, by full text, and kept live.

use afield::{Collection, Replica, Synchronous, Text, Timestamp, model};
use afield_benches::report::{exit_code, write_table};
use clap::Parser;
use serde::Serialize;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

/// How many entities are made in one commit while the store is filled.
const ENTITIES_PER_COMMIT: usize = 1_000;
/// How many entities a query answers with.
const ROWS: usize = 20;
/// How many times each is asked; the median counts, as what a person waits for again and again.
const TIMES: usize = 21;
/// What they may take, in milliseconds.
const INDEXED_MS_MAX: f64 = 5.0;
const SEARCH_MS_MAX: f64 = 20.0;
/// The words of the texts: few are common, and most are rare, as in a language.
const COMMON: [&str; 8] = ["the", "and", "of", "milk", "plan", "call", "week", "home"];

/// Measure queries over many entities in a file; fails above its targets.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many entities
    #[arg(long, default_value_t = 100_000)]
    entities: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[model]
#[derive(Debug, Clone, Default)]
struct Note {
    title: String,
    body: Text,
    due: Option<Timestamp>,
    done: bool,
    priority: u32,
}

#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    ms: f64,
    ms_max: Option<f64>,
    found: usize,
}

fn main() -> ExitCode {
    exit_code("queries", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("queries.db");
    let replica = Replica::options().synchronous(Synchronous::Normal).open(&path)?;
    let notes = replica.create_space("bench")?.collection::<Note>("notes")?;
    let mut rows = vec![once("fill", || fill(&replica, &notes, arguments.entities))?];
    rows.push(once("declare an index of two fields", || Ok(usize::from(notes.index(["done", "due"])?)))?);
    rows.push(once("declare full text", || Ok(usize::from(notes.search_fields(["title", "body"])?)))?);
    drop((notes, replica));

    let replica = Replica::open(&path)?;
    let notes = replica.spaces()?.first().ok_or("there is a space")?.collection::<Note>("notes")?;
    let json = notes.json();
    let soon = Timestamp::from_millis(arguments.entities as i64 / 2);
    let indexed = json.query("done = 0 AND due > ?", [soon])?.order_by("due").limit(ROWS);
    let plan = indexed.plan()?.join("; ");
    if !plan.contains("USING INDEX query_") {
        return Err(format!("the index is not used: {plan}").into());
    }
    rows.push(median("20 rows along an index", Some(INDEXED_MS_MAX), || Ok(indexed.all()?.len()))?);
    rows.push(median("full text, two words", Some(SEARCH_MS_MAX), || {
        Ok(json.search("milk rare77")?.limit(ROWS).all()?.len())
    })?);
    rows.push(median("full text, a rare word while typing", Some(SEARCH_MS_MAX), || {
        Ok(json.search("rare12")?.while_typing().limit(ROWS).all()?.len())
    })?);
    rows.push(median("full text, a word in every text", Some(SEARCH_MS_MAX), || {
        Ok(json.search("note")?.limit(ROWS).all()?.len())
    })?);
    let unindexed = json.query("priority = 3 AND title LIKE '%9'", ())?.limit(ROWS);
    rows.push(median("20 rows without an index", None, || Ok(unindexed.all()?.len()))?);
    let all = json.query("done = 0", ())?;
    rows.push(median("count without reading rows", None, || Ok(all.count()? as usize))?);

    let mut live = indexed.watch()?;
    live.take().transpose()?;
    let other = replica.spaces()?.first().ok_or("there is a space")?.collection::<()>("other")?.json();
    let ids = notes.ids_after(None, TIMES)?;
    for (id, number) in ids.iter().zip(0..) {
        notes.edit(*id, |note| note.priority += 1)?;
        other.insert(&serde_json::json!({ "n": number }))?;
        live.take().transpose()?;
    }
    let work = live.work();
    show(arguments.json, &rows, work.runs, work.probes, ids.len())?;
    let missed = rows.iter().filter(|row| row.ms_max.is_some_and(|max| row.ms > max)).map(|row| row.what);
    let mut missed: Vec<_> = missed.collect();
    if work.runs != 1 || work.probes != ids.len() as u64 {
        missed.push("the statements of a live query: one for each entity that was written");
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("above the target: {}", missed.join(", ")).into()) }
}

fn fill(replica: &Replica, notes: &Collection<Note>, entities: usize) -> Result<usize, Box<dyn Error>> {
    let numbers: Vec<_> = (0..entities).collect();
    for numbers in numbers.chunks(ENTITIES_PER_COMMIT) {
        let _ = replica.transaction(|transaction| {
            for number in numbers {
                transaction.insert(notes, &note(*number))?;
            }
            Ok(())
        })?;
    }
    Ok(entities)
}

fn note(number: usize) -> Note {
    let words = (0..20).map(|place| match (number * 7 + place * 13) % 16 {
        common @ 0..8 => COMMON.get(common).copied().unwrap_or_default().to_owned(),
        _ => format!("rare{}", (number * 31 + place * 17) % 5_000),
    });
    Note {
        title: format!("Note {number}"),
        body: words.collect::<Vec<_>>().join(" ").as_str().into(),
        due: Some(Timestamp::from_millis(number as i64)),
        done: number.is_multiple_of(3),
        priority: (number % 5) as u32,
    }
}

fn once(what: &'static str, work: impl FnOnce() -> Result<usize, Box<dyn Error>>) -> Result<Row, Box<dyn Error>> {
    let started = Instant::now();
    let found = work()?;
    Ok(Row { what, ms: started.elapsed().as_secs_f64() * 1e3, ms_max: None, found })
}

fn median(
    what: &'static str,
    ms_max: Option<f64>,
    work: impl Fn() -> Result<usize, Box<dyn Error>>,
) -> Result<Row, Box<dyn Error>> {
    let mut rows = (0..TIMES).map(|_| once(what, &work)).collect::<Result<Vec<_>, _>>()?;
    rows.sort_by(|one, other| one.ms.total_cmp(&other.ms));
    let row = rows.into_iter().nth(TIMES / 2).ok_or("it was asked at least once")?;
    Ok(Row { ms_max, ..row })
}

fn show(json: bool, rows: &[Row], runs: u64, probes: u64, writes: usize) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    if json {
        let live = serde_json::json!({ "writes": writes, "runs": runs, "probes": probes });
        return Ok(writeln!(out, "{}", serde_json::json!({ "queries": rows, "live": live }))?);
    }
    let titles = ["what", "ms", "at most", "found"].map(str::to_owned).to_vec();
    let line = |row: &Row| {
        let most = row.ms_max.map_or(String::new(), |max| format!("{max:.0}"));
        vec![row.what.to_owned(), format!("{:.2}", row.ms), most, row.found.to_string()]
    };
    let table: Vec<_> = std::iter::once(titles).chain(rows.iter().map(line)).collect();
    write_table(&mut out, &table)?;
    Ok(writeln!(out, "a live query, {writes} writes: {probes} rows looked at, {runs} full run")?)
}
