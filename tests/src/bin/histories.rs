//! Plays seeded histories of the world simulator.
//!
//! `histories --seeds 10000` plays seeds 0 to 9,999 on all cores; `histories --seed 42 --trace` replays one and prints
//! what happened. The exit code is 1 when a history broke an invariant; its seed is printed with the command that replays it.

use afield_tests::history::{Plan, play, play_in};
use afield_tests::world::World;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Plays seeded histories of devices, a network and a relay, and checks the invariants of each.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to play.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Plays this seed alone and prints the hash of its trace.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Prints every line of the trace.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Stops after so many seconds, however many seeds are left.
    #[arg(long)]
    seconds: Option<u64>,
    /// Fails when fewer than this were played in the given seconds.
    #[arg(long, default_value_t = 1)]
    at_least: u64,
    /// How many devices.
    #[arg(long, default_value_t = Plan::STANDARD.devices)]
    devices: usize,
    /// How many steps.
    #[arg(long, default_value_t = Plan::STANDARD.steps)]
    steps: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = Plan { devices: arguments.devices, steps: arguments.steps, ..Plan::STANDARD };
    match arguments.seed {
        Some(seed) => replay(seed, &plan, arguments.trace),
        None => play_all(&arguments, &plan),
    }
}

fn replay(seed: u64, plan: &Plan, trace: bool) -> ExitCode {
    let mut world = World::new(seed);
    if trace {
        world.keep_trace();
    }
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play_in(&mut world, seed, plan)));
    print!("{}", world.trace().lines());
    let Ok(played) = played else {
        println!("seed {seed}: a panic");
        return ExitCode::FAILURE;
    };
    match played {
        Ok(hash) => {
            println!("{hash}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn play_all(arguments: &Arguments, plan: &Plan) -> ExitCode {
    let started = Instant::now();
    let enough = arguments.seconds.map(Duration::from_secs);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} histories, {eta} left")
        .expect("the template is well formed");
    let bar = ProgressBar::new(arguments.seeds).with_style(style);
    let next = AtomicU64::new(0);
    let played = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while enough.is_none_or(|enough| started.elapsed() < enough) {
                    let offset = next.fetch_add(1, Ordering::Relaxed);
                    if offset >= arguments.seeds {
                        return;
                    }
                    let seed = arguments.first + offset;
                    let outcome = std::panic::catch_unwind(|| play(seed, plan));
                    if let Ok(Err(failure)) = &outcome {
                        bar.suspend(|| println!("{failure}"));
                    }
                    // A history that ends in a panic has said itself which one it is.
                    if !matches!(outcome, Ok(Ok(_))) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    played.fetch_add(1, Ordering::Relaxed);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let (played, failed, seconds) = (played.into_inner(), failed.into_inner(), started.elapsed().as_secs());
    println!("{played} histories of {} devices and {} steps in {seconds} s", plan.devices, plan.steps);
    println!("{} passed, {failed} failed", played - failed);
    let enough = played >= arguments.at_least.min(arguments.seeds);
    if !enough {
        println!("too few: at least {} were asked for", arguments.at_least);
    }
    if failed == 0 && enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
