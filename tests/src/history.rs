//! Random histories of a world.

use crate::world::{Device, DiskFaults, NetworkFaults, Random, Sabotage, Violation, World};
use std::fmt;

/// What a history is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many devices.
    pub devices: usize,
    /// How many steps.
    pub steps: usize,
    /// A relay that is broken in one way.
    pub sabotage: Option<Sabotage>,
    /// Devices that clear their outbox on receipt.
    pub clear_outbox_on_receipt: bool,
}

impl Plan {
    /// Three devices and a hundred steps, all of them honest.
    pub const STANDARD: Self = Self { devices: 3, steps: 100, sabotage: None, clear_outbox_on_receipt: false };
}

/// A history that broke an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed that replays it.
    pub seed: u64,
    /// The step after which it was found; `None` after the last.
    pub step: Option<usize>,
    /// What was broken.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, violation } = self;
        match step {
            Some(step) => write!(f, "seed {seed}, step {step}: {violation}"),
            None => write!(f, "seed {seed}, after all faults had stopped: {violation}"),
        }
    }
}

/// Plays the history of a seed and gives the hash of its trace.
///
/// # Errors
///
/// The history broke an invariant.
pub fn play(seed: u64, plan: &Plan) -> Result<String, Failure> {
    play_in(&mut World::with(seed, plan.sabotage), seed, plan)
}

/// As [`play`], in a world that the caller has prepared.
///
/// # Errors
///
/// The history broke an invariant.
pub fn play_in(world: &mut World, seed: u64, plan: &Plan) -> Result<String, Failure> {
    if plan.clear_outbox_on_receipt {
        world.clear_outbox_on_receipt();
    }
    for _ in 0..plan.devices {
        world.add_device();
    }
    // The steps draw from a generator of their own, so that a change inside the world does not alter the story.
    let mut random = Random::new(seed ^ 0x6166_6965_6c64);
    let mut story = Story::new(world, &mut random);
    for step in 0..plan.steps {
        story.step(world, &mut random).map_err(|violation| Failure { seed, step: Some(step), violation })?;
    }
    world.try_settle().map_err(|violation| Failure { seed, step: None, violation })?;
    Ok(world.trace().hash().to_hex().to_string())
}

/// What a history remembers from step to step.
struct Story {
    snapshots: Vec<Vec<u8>>,
}

impl Story {
    /// Draws the rates of this seed's faults, zero included.
    fn new(world: &mut World, random: &mut Random) -> Self {
        world.set_network(NetworkFaults {
            delay_ms: [1, 50, 2_000][random.below(3)],
            cut: [0, 0, 20, 100][random.below(4)],
            duplicate: [0, 0, 0, 20][random.below(4)],
            reorder: [0, 0, 0, 20][random.below(4)],
            drop: [0, 0, 0, 20][random.below(4)],
            half_open: [0, 300, 1_000][random.below(3)],
        });
        world.set_commit_delay([0, 5, 500][random.below(3)]);
        let disk = DiskFaults {
            crash_before_commit: [0, 0, 10][random.below(3)],
            crash_after_commit: [0, 0, 10][random.below(3)],
            full: [0, 0, 10][random.below(3)],
        };
        for device in world.all() {
            world.set_disk(device, disk);
            if random.chance(300) {
                world.skew_clock(device, [-3_600_000, -315_360_000_000, 86_400_000][random.below(3)]);
            }
        }
        Self { snapshots: Vec::new() }
    }

    fn step(&mut self, world: &mut World, random: &mut Random) -> Result<(), Violation> {
        let device = pick(world, random);
        match random.below(100) {
            0..=44 => edit(world, device, random),
            45..=69 => world.run(random.between(1, 3_000)),
            70..=74 => world.run(random.between(3_000, 120_000)),
            75..=78 => world.go_offline(device),
            79..=83 => world.go_online(device),
            84..=86 => world.break_connection(device),
            87..=89 => {
                if random.chance(333) {
                    world.lose_power(device)
                } else {
                    world.crash(device)
                }
                if random.chance(500) {
                    world.restart(device);
                }
            }
            90..=91 => world.restart(device),
            92..=93 => {
                world.crash_relay();
                world.check_acknowledged()?;
                if random.chance(500) {
                    world.start_relay();
                }
            }
            94..=95 => world.start_relay(),
            96..=97 => self.snapshots.push(world.snapshot_relay()),
            _ => {
                if !self.snapshots.is_empty() {
                    world.restore_relay(&self.snapshots[random.below(self.snapshots.len())]);
                }
            }
        }
        world.check()
    }
}

fn pick(world: &World, random: &mut Random) -> Device {
    let devices: Vec<_> = world.all().collect();
    devices[random.below(devices.len())]
}

/// One edit by a person: of something that exists, or something new.
fn edit(world: &mut World, device: Device, random: &mut Random) {
    if !world.is_running(device) {
        return;
    }
    let entities = world.entities(device);
    if entities.is_empty() || random.chance(80) {
        world.create(device, "notes");
        return;
    }
    let entity = entities[random.below(entities.len())];
    match random.below(5) {
        0 => world.type_text(device, entity, random.below(30), ["a", "é", "語", "🙂🙂"][random.below(4)]),
        1 => world.increment(device, entity, random.between(1, 9) as i64),
        2 => world.label(device, entity, ["x", "y"][random.below(2)], random.between(0, 99) as i64),
        3 => world.add_item(device, entity, random.below(10), random.between(0, 99) as i64),
        _ => world.set_title(device, entity, ["one", "two", "three"][random.below(3)]),
    };
}
