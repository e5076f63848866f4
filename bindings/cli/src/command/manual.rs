//! `afield completions` and `afield man`: what a packager, or a shell, wants to have.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::{self, Output};
use clap_complete::Shell;
use serde::Serialize;
use std::path::Path;

#[derive(Debug, Serialize)]
struct Written {
    folder: String,
    pages: u64,
}

/// A text, as a program that wants JSON gets it.
#[derive(Debug, Serialize)]
struct Told<'t> {
    text: &'t str,
}

pub(super) fn completions(shell: Shell, output: Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::complete(), "afield", &mut script);
    tell(&script, output)
}

pub(super) fn man(folder: Option<&Path>, output: Output) -> Result<(), Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::complete()).render(&mut page).map_err(Failure::Output)?;
        return tell(&page, output);
    };
    std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    clap_mangen::generate_to(Arguments::complete(), folder).map_err(Failure::file(folder))?;
    let is_page = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("afield");
    let pages = std::fs::read_dir(folder).map_err(Failure::file(folder))?;
    let pages = pages.filter_map(Result::ok).filter(|file| is_page(&file.file_name())).count() as u64;
    let written = Written { folder: folder.display().to_string(), pages };
    output.done(&written, || format!("Wrote {pages} pages to {}.", written.folder))
}

fn tell(text: &[u8], output: Output) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(text);
    if output.is_json() { output.result(&Told { text: &text }, String::new) } else { output::print(&text) }
}
