//! `afield demo`: the whole point in one go.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `relay` | the relay's process: started, killed, started again |
//! | `device` | a device: a store file of its own, and its sync |
//! | `story` | what happens, step by step |
//! | `crash` | the middle of it: the relay is killed while two devices sync, and starts again |
//! | `newcomer` | the end of it: a third device catches up, and comes back |
//! | `note` | the note that everybody edits: who writes what, and what has to come of it |
//! | `bulk` | what makes the sync long enough to be killed in the middle |
//! | `page` | what a person reads, and what a program does |
//!
//! Nothing here is simulated: the relay is this binary as a process of its own, the devices have store files, and the
//! crash is a kill that no process can catch. Every claim that is printed has been checked.

mod bulk;
mod crash;
mod device;
mod failure;
mod newcomer;
mod note;
mod page;
mod relay;
mod story;

pub(crate) use failure::DemoFailure;

use crate::failure::Failure;
use crate::interrupt;
use crate::output::Output;
use page::Page;
use tempfile::TempDir;

/// Runs the demo. Whatever happens, neither a process nor a file stays behind.
pub(crate) fn run(output: Output) -> Result<(), Failure> {
    let folder = TempDir::with_prefix("afield-demo-").map_err(DemoFailure::Folder)?;
    let runtime = interrupt::runtime()?;
    let mut page = Page::new(output);
    let told = runtime.block_on(async {
        tokio::select! {
            // Listened to first, so that nothing is started before an interruption would be heard.
            biased;
            () = interrupt::listen() => Err(DemoFailure::Interrupted.into()),
            told = story::tell(folder.path(), &mut page) => told,
        }
    });
    // The devices and the relay are gone with the story, so nothing uses the folder any more.
    let removed = folder.close().map_err(DemoFailure::Folder);
    let figures = told?;
    removed?;
    page.finish(&figures)
}
