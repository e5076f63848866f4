//! Afield and other systems, put through the same workloads in the same run.
//!
//! Every server and every client is a real process of this machine that stores what its system stores. The workloads and
//! the harness are those of `afield_benches`, the clients speak `afield_benches::protocol`:
//!
//! | system | server | clients |
//! | --- | --- | --- |
//! | Afield | the real relay | the `afield` crate |
//! | samod | [`samod`]: its WebSocket acceptor on files | [`samod`]: a `Repo` each |
//! | hocuspocus | `node/hocuspocus.mjs` | the same: its provider |
//! | automerge-repo | `node/automerge-repo.mjs` | the same: a `Repo` each |
//!
//! - [`system`]: which systems there are, and what each promises.
//! - [`comparison`]: the runs in turn, medians and ratios.
//! - [`report`]: the table.

mod comparison;
mod node;
mod report;
mod samod;
mod system;

use afield_benches::report::exit_code;
use afield_benches::role;
use clap::Parser;
use comparison::{Comparison, Workload};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use system::{Name, System};

/// How often each workload is run, unless told otherwise.
const REPEATS: usize = 3;

/// Put Afield and other systems through the same workloads.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each workload is run; the median is told
    #[arg(long, value_name = "COUNT", default_value_t = REPEATS)]
    repeats: usize,
    /// Only these systems
    #[arg(long, value_name = "SYSTEM", value_enum, value_delimiter = ',')]
    systems: Vec<Name>,
    /// Only these workloads
    #[arg(long, value_name = "WORKLOAD", value_enum, value_delimiter = ',')]
    workloads: Vec<Workload>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    if let Some(code) = role::take().or_else(samod::take) {
        return code;
    }
    exit_code("peers", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let wants = |name: &Name| arguments.systems.is_empty() || arguments.systems.contains(name);
    let names: Vec<Name> = Name::ALL.into_iter().filter(wants).collect();
    if names.iter().any(|name| name.needs_node()) {
        node::install()?;
    }
    let systems = names.into_iter().map(System::of).collect::<Result<Vec<_>, _>>()?;
    let wants = |workload: &Workload| arguments.workloads.is_empty() || arguments.workloads.contains(workload);
    let workloads: Vec<Workload> = Workload::ALL.into_iter().filter(wants).collect();
    let comparison = Comparison::run(&systems, &workloads, arguments.repeats.max(1))?;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&comparison)?)?;
    } else {
        comparison.write(&mut out)?;
    }
    Ok(())
}
