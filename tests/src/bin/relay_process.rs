//! The real relay for tests: the command line of `afield-relay`.
//!
//! Where [`PANICS`] is set, each line of standard input becomes the message of a panic in this process, beside the relay that runs in it
//! with the product's own hook and log.

use clap::Parser;
use std::io::BufRead;
use std::process::ExitCode;

/// In the environment of a relay that is to panic.
const PANICS: &str = "AFIELD_TEST_PANICS";

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    relay: afield_relay::cli::RelayCommand,
}

fn main() -> ExitCode {
    if std::env::var_os(PANICS).is_some() {
        std::thread::spawn(|| std::io::stdin().lock().lines().map_while(Result::ok).for_each(panic_with));
    }
    afield_relay::cli::run(Arguments::parse().relay)
}

/// Panics in a thread of its own, and says on standard output how long the message was.
fn panic_with(content: String) {
    let died = std::thread::spawn(move || panic!("in {content:?}")).join();
    let message = died.expect_err("it has panicked").downcast::<String>().expect("the message has arguments");
    println!("a panic of {} bytes", message.len());
}
