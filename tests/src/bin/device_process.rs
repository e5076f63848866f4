//! A device for tests: commands come in on standard input, see `afield_tests::processes::agent`.
//!
//! `--normal` before the path of its store opens that with `Synchronous::Normal`.

use afield::Synchronous;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let is_normal = arguments.next_if(|argument| argument == "--normal").is_some();
    let path = arguments.next().ok_or("the path of a store file is missing")?;
    let synchronous = if is_normal { Synchronous::Normal } else { Synchronous::Full };
    afield_tests::processes::agent::run_with(std::path::Path::new(&path), synchronous)
}
