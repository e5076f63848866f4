//! `afield verify`

use crate::arguments::Global;
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use serde::Serialize;

/// Whether the store holds together.
#[derive(Debug, Serialize)]
struct Verified {
    ok: bool,
    violations: Vec<String>,
}

pub(super) fn run(global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::view(global)?;
    let bar = output.progress("{spinner} reading all of the store: {elapsed}", None);
    let found = replica.verify();
    drop(bar);
    let violations: Vec<_> = found?.iter().map(ToString::to_string).collect();
    let verified = Verified { ok: violations.is_empty(), violations };
    output.result(&verified, || in_words(&verified))?;
    match verified.violations.len() as u64 {
        0 => Ok(()),
        violations => Err(Failure::Damaged { violations }),
    }
}

fn in_words(verified: &Verified) -> String {
    if verified.ok {
        return "The file holds together.".to_owned();
    }
    verified.violations.iter().map(|violation| text::printable(violation) + "\n").collect()
}
