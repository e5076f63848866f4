//! The table for a person.

use crate::comparison::{Cell, Comparison, Row, Table};
use afield_benches::report::write_table;
use std::io::Write;

impl Comparison {
    /// Writes everything for a person.
    pub(crate) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "The systems, all on this machine, servers and clients as processes of their own:\n")?;
        for system in &self.systems {
            writeln!(out, "{} ({})", system.name, system.version)?;
            writeln!(out, "  the server acknowledges {}", system.acknowledges)?;
            writeln!(out, "  the client: {}", system.client)?;
            writeln!(out, "  settings: {}", system.settings)?;
        }
        writeln!(out)?;
        writeln!(
            out,
            "Each figure is the median of {} runs, the systems in turn; none is left out, and every run starts its\n\
             processes anew. Live typing has 50 characters of warm-up, the others none. Behind a figure stands the ratio\n\
             of the first system's to it: below 1 the first one's is smaller. The wire and the syncs of live typing are\n\
             counted in a run of their own. Where a server's acknowledgement is not durable, that is not in the ratio.\n",
            self.repeats
        )?;
        self.tables.iter().try_for_each(|table| table.write(out, &self.names()))
    }

    fn names(&self) -> Vec<&'static str> {
        self.systems.iter().map(|system| system.name).collect()
    }
}

impl Table {
    fn write(&self, out: &mut impl Write, systems: &[&str]) -> std::io::Result<()> {
        writeln!(out, "{}", self.name)?;
        let heads = std::iter::once("").chain(systems.iter().copied()).map(str::to_owned).collect();
        let mut rows: Vec<Vec<String>> = vec![heads];
        rows.extend(self.rows.iter().map(Row::told));
        write_table(out, &rows)?;
        for failed in &self.failures {
            writeln!(out, "  {} did not do this: {}", failed.system, failed.reason)?;
        }
        writeln!(out)
    }
}

impl Row {
    fn told(&self) -> Vec<String> {
        let cells = self.cells.iter().map(|cell| match cell {
            None => "-".to_owned(),
            Some(Cell { median, ratio: None, .. }) => self.unit.told(*median),
            Some(Cell { median, ratio: Some(ratio), .. }) => format!("{} ({ratio:.2})", self.unit.told(*median)),
        });
        std::iter::once(self.name.clone()).chain(cells).collect()
    }
}
