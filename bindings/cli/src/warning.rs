//! What there is to warn of once something was stored.

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::remembered::Remembered;
use afield::{Replica, Role, Space, SpaceId, SpaceStatus};
use serde::Serialize;

/// What a command wrote, with the warning that belongs to it.
#[derive(Debug, Serialize)]
pub(crate) struct Warned<'w, T> {
    #[serde(flatten)]
    written: &'w T,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl<'w, T: Serialize> Warned<'w, T> {
    /// What was written to a space, and that nobody else gets it where this device may only read.
    ///
    /// Sync refuses such a change, and does so days later where a device is offline: whoever writes has to know it before going on.
    pub(crate) fn new(written: &'w T, (replica, space): (&Replica, &Space), changed: bool, global: &Global) -> Self {
        let warning = changed.then(|| refused_in(replica, |one| one == space.id(), global)).flatten();
        Self { written, warning: warning.map(|(_, words)| format!("this device may only read this space: {words}")) }
    }

    /// The same of what was written to spaces that nobody named.
    pub(crate) fn anywhere(written: &'w T, replica: &Replica, changed: bool, global: &Global) -> Self {
        let warning = changed.then(|| refused_in(replica, |_| true, global)).flatten();
        let words = |(space, words)| format!("this device may only read the space {space}: {words}");
        Self { written, warning: warning.map(words) }
    }

    /// Says more, where it warns.
    pub(crate) fn and(mut self, words: &str) -> Self {
        self.warning.iter_mut().for_each(|warning| warning.push_str(words));
        self
    }

    /// Prints it as the result of a command, and warns of it on stderr.
    pub(crate) fn result(self, output: Output, text: impl FnOnce() -> String) -> Result<(), Failure> {
        output.result(&self, text)?;
        self.tell(output);
        Ok(())
    }

    /// Prints that it was done, which `--quiet` leaves out, and warns of it on stderr.
    pub(crate) fn done(self, output: Output, text: impl FnOnce() -> String) -> Result<(), Failure> {
        output.done(&self, text)?;
        self.tell(output);
        Ok(())
    }

    fn tell(&self, output: Output) {
        let Some(warning) = self.warning.as_ref().filter(|_| output.is_for_a_person()) else { return };
        output::tell_wrapped(&format!("{} {warning}", console::style("afield:").yellow().bold().for_stderr()), 2);
    }
}

/// The first space of these whose relay takes nothing of what waits, as this device may only read it, with what becomes of that and what helps.
fn refused_in(replica: &Replica, is_meant: impl Fn(SpaceId) -> bool, global: &Global) -> Option<(SpaceId, String)> {
    // What was written is stored by now, and a status that cannot be read does not make that a failure.
    let status = replica.status().ok()?;
    // What the direction of its collection keeps here stays by somebody's own wish, and is not pending.
    let is_refused = |one: &&SpaceStatus| one.role == Some(Role::Reader) && one.pending_changes > 0;
    let id = status.spaces.iter().filter(|one| is_meant(one.space)).find(is_refused)?.space;
    // Of a space that the relay has lost this device may have the only copy.
    let remembered = Remembered::read(&global.store).ok().flatten();
    let is_lost = remembered.is_some_and(|relay| relay.spaces.iter().any(|space| space.id == id.to_string()));
    let way_out = if is_lost {
        String::new()
    } else {
        format!(
            ", or give up what is unsent with `afield space leave {id} --discard` and then `afield space join {id}`"
        )
    };
    let words =
        format!("the change stays here; ask an owner for the role of a writer, or for a token that may write{way_out}");
    Some((id, global.hints.in_text(&words)))
}
