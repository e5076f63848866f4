//! Random histories of a world.

use crate::world::{
    Checks, Device, DeviceSabotage, DiskFaults, NetworkFaults, Random, RelayDiskFaults, RelayPace, Sabotage, Violation,
    World, filter_of,
};
use afield_core::{Filter, Limits};
use std::fmt;

/// What a history is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How many devices.
    pub devices: usize,
    /// How many steps.
    pub steps: usize,
    /// A relay that is broken in one way.
    pub sabotage: Option<Sabotage>,
    /// Devices that are broken in one way.
    pub device_sabotage: Option<DeviceSabotage>,
    /// How many in a thousand steps put an earlier state of the relay back; drawn from the seed when absent.
    pub restores: Option<u32>,
    /// How many in a thousand steps purge something; by the seed when absent, and none where something is broken.
    pub purges: Option<u32>,
    /// What is looked at.
    pub checks: Checks,
}

impl Plan {
    /// Three devices and a hundred steps, all of them honest.
    pub const STANDARD: Self = Self {
        devices: 3,
        steps: 100,
        sabotage: None,
        device_sabotage: None,
        restores: None,
        purges: None,
        checks: Checks::All,
    };

    /// Says by which command a seed is played again, where the command can play it: a test alone breaks relays and devices.
    fn again(&self, seed: u64) -> String {
        let Self { devices, steps, .. } = *self;
        if *self != (Self { devices, steps, ..Self::STANDARD }) {
            return String::new();
        }
        format!(
            "\n  cargo run --release -p afield-tests --bin histories -- --seed {seed} --devices {devices} --steps {steps} --trace"
        )
    }
}

/// A history that broke an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed that replays it.
    pub seed: u64,
    /// What it was made of.
    pub plan: Plan,
    /// The step after which it was found; `None` after the last.
    pub step: Option<usize>,
    /// What was broken.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, plan, step, violation } = self;
        match step {
            Some(step) => write!(f, "seed {seed}, step {step}: {violation}")?,
            None => write!(f, "seed {seed}, after all faults had stopped: {violation}")?,
        }
        f.write_str(&plan.again(*seed))
    }
}

/// Plays the history of a seed and gives the hash of its trace.
///
/// # Errors
///
/// The history broke an invariant.
pub fn play(seed: u64, plan: &Plan) -> Result<String, Failure> {
    let _named = Named(seed, *plan);
    play_in(&mut World::with(seed, plan.sabotage), seed, plan)
}

/// Names the seed of a history that ends in a panic.
struct Named(u64, Plan);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, plan) = self;
            println!("seed {seed}: a panic{}", plan.again(*seed));
        }
    }
}

/// As [`play`], in a world that the caller has prepared.
///
/// # Errors
///
/// The history broke an invariant.
pub fn play_in(world: &mut World, seed: u64, plan: &Plan) -> Result<String, Failure> {
    if let Some(sabotage) = plan.device_sabotage {
        world.sabotage_devices(sabotage);
    }
    world.set_checks(plan.checks);
    for _ in 0..plan.devices {
        world.add_device();
    }
    // The steps draw from a generator of their own, so that a change inside the world does not alter the story.
    let mut random = Random::new(seed ^ 0x6166_6965_6c64);
    let failure = |step| move |violation| Failure { seed, plan: *plan, step, violation };
    let mut story = Story::new(world, &mut random);
    let is_honest = plan.sabotage.is_none() && plan.device_sabotage.is_none();
    if !is_honest {
        // What is broken has to show where everything is asked for.
        story.filters = 0;
    }
    // By the seed itself: one history in three is told without it, and its story is the same with it.
    world.set_relay_tidying(match seed % 3 {
        0 => 0,
        1 => 100,
        _ => 600,
    });
    story.restores = plan.restores.unwrap_or(story.restores);
    // By the seed as well, and from a generator of its own: those who are here change nothing of what happens.
    let mut shows = Random::new(seed ^ 0x7072_6573_656e_6365);
    // By the seed and from a generator of its own, too: half of the histories lose nothing by intent.
    let mut purges = Random::new(seed ^ 0x70_7572_6765);
    let purges_rate = plan.purges.unwrap_or(if is_honest { [0, 0, 10, 50][seed as usize / 4 % 4] } else { 0 });
    for step in 0..plan.steps {
        if seed.is_multiple_of(4) {
            world.show_something(pick(world, &mut shows), &mut shows);
        }
        if purges.chance(purges_rate) {
            purge(world, pick(world, &mut purges), &mut purges);
        }
        story.step(world, &mut random).map_err(failure(Some(step)))?;
    }
    world.try_settle().map_err(failure(None))?;
    Ok(world.trace().hash().to_hex().to_string())
}

/// What was drawn for all steps of a history.
struct Story {
    disk: DiskFaults,
    /// How many in a thousand steps put an earlier state of the relay back.
    restores: u32,
    /// How many in a thousand steps lose a device for good.
    losses: u32,
    /// How many in a thousand steps set a clock.
    clock_jumps: u32,
    /// How many in a thousand steps change what a device asks for, or fetch something.
    filters: u32,
    /// How many in a thousand steps let nothing through in one direction, or let it through again.
    stalls: u32,
}

/// How far off a clock may be: an hour or ten years back, a day ahead, or not at all.
const CLOCK_SKEWS_MS: [i64; 4] = [-3_600_000, -315_360_000_000, 86_400_000, 0];

impl Story {
    /// Draws the rates of this seed's faults, zero included.
    fn new(world: &mut World, random: &mut Random) -> Self {
        let network = NetworkFaults {
            delay_ms: [1, 50, 2_000][random.below(3)],
            bunch_ms: [1, 20, 500][random.below(3)],
            cut: [0, 0, 20, 100][random.below(4)],
            duplicate: [0, 0, 0, 20][random.below(4)],
            reorder: [0, 0, 0, 20][random.below(4)],
            drop: [0, 0, 0, 20][random.below(4)],
            flip: [0, 0, 0, 20][random.below(4)],
            replay: [0, 0, 0, 20][random.below(4)],
            half_open: [0, 300, 1_000][random.below(3)],
        };
        let is_faithful = network.duplicate + network.reorder + network.drop + network.flip + network.replay == 0;
        world.set_network(network);
        world.set_relay_pace(RelayPace {
            commit_delay_ms: [0, 5, 500][random.below(3)],
            reads_max: [usize::MAX, 8, 1][random.below(3)],
            read_delay_ms: [1, 50, 2_000][random.below(3)],
            run_bytes_max: [usize::MAX, 2_000, 1][random.below(3)],
        });
        world.set_relay_limits(Limits {
            in_flight_chunks_max: [Limits::DEFAULT.in_flight_chunks_max, 20, 2][random.below(3)],
            in_flight_bytes_max: [Limits::DEFAULT.in_flight_bytes_max, Limits::DEFAULT.in_flight_bytes_max, 1_000]
                [random.below(3)],
            ..Limits::DEFAULT
        });
        world.keep_snapshots(500);
        world.compact_often();
        world.set_relay_disk(RelayDiskFaults {
            error_before_commit: [0, 0, 0, 30][random.below(4)],
            error_after_commit: [0, 0, 0, 30][random.below(4)],
            crash: [0, 0, 0, 20][random.below(4)],
        });
        let disk = DiskFaults {
            crash_before_commit: [0, 0, 10][random.below(3)],
            crash_after_commit: [0, 0, 10][random.below(3)],
            full: [0, 0, 10][random.below(3)],
            io: [0, 0, 10][random.below(3)],
            at_statement: [0, 0, 2][random.below(3)],
        };
        for device in world.all() {
            world.set_disk(device, disk);
            if random.chance(300) {
                world.skew_clock(device, CLOCK_SKEWS_MS[random.below(3)]);
            }
        }
        Self {
            disk,
            restores: [0, 20, 50][random.below(3)],
            losses: [0, 0, 10][random.below(3)],
            clock_jumps: [0, 0, 30][random.below(3)],
            // What a device asks for rests on the order of its frames alone, so it is not changed where that is not kept.
            filters: if is_faithful { [0, 30, 100][random.below(3)] } else { 0 },
            stalls: [0, 0, 20][random.below(3)],
        }
    }

    fn step(&mut self, world: &mut World, random: &mut Random) -> Result<(), Violation> {
        let device = pick(world, random);
        match random.below(100) {
            0..=44 => edit(world, device, random),
            45..=69 => world.run(random.between(1, 3_000)),
            70..=74 => world.run(random.between(3_000, 120_000)),
            75..=79 => world.go_offline(device),
            80..=84 => world.go_online(device),
            85..=87 => world.break_connection(device),
            88..=90 => {
                if random.chance(333) {
                    world.lose_power(device)
                } else {
                    world.crash(device)
                }
                if random.chance(500) {
                    world.restart(device);
                }
            }
            91..=92 => world.restart(device),
            93..=94 => {
                world.crash_relay();
                world.check_acknowledged()?;
                if random.chance(500) {
                    world.start_relay();
                }
            }
            95..=96 => world.start_relay(),
            97..=98 => world.sync_now(device),
            _ => world.run(random.between(1, 100)),
        }
        self.strike(world, random);
        world.check()
    }

    /// What happens beside the steps, to the whole world.
    fn strike(&self, world: &mut World, random: &mut Random) {
        if random.chance(self.restores) {
            // A backup is put back under a running relay, or while it is down and all connections are gone.
            if random.chance(500) {
                world.crash_relay();
            }
            world.restore_relay_to_a_kept_state(random);
            world.start_relay();
        }
        if random.chance(self.clock_jumps) {
            world.skew_clock(pick(world, random), CLOCK_SKEWS_MS[random.below(4)]);
            world.skew_relay_clock(CLOCK_SKEWS_MS[random.below(4)]);
        }
        if random.chance(self.filters) {
            ask_for_something_else(world, pick(world, random), random);
        }
        if random.chance(self.stalls) {
            world.stall(pick(world, random), random.chance(300), random.chance(300));
        }
        let victim = pick(world, random);
        if random.chance(self.losses) && world.may_lose(victim) {
            world.lose(victim);
            let replacement = world.add_device();
            world.set_disk(replacement, self.disk);
        }
    }
}

fn pick(world: &World, random: &mut Random) -> Device {
    let devices: Vec<_> = world.all().collect();
    devices[random.below(devices.len())]
}

/// The collections of a history.
const COLLECTIONS: [&str; 2] = ["notes", "photos"];

/// A device asks for more, for less, or for one entity.
fn ask_for_something_else(world: &mut World, device: Device, random: &mut Random) {
    if !world.is_running(device) {
        return;
    }
    let made = world.made();
    match random.below(6) {
        0 => world.set_filter(device, &Filter::Everything),
        1 => world.set_filter(device, &Filter::nothing()),
        2 => world.set_filter(device, &filter_of(&["notes"], &[], &["photos"])),
        3 => world.set_filter(device, &filter_of(&["photos"], &[], &[])),
        4 => {
            world.set_filter(device, &filter_of(&[], made.get(..random.below(made.len() + 1)).unwrap_or_default(), &[]))
        }
        _ => {
            if let Some(entity) = made.get(random.below(made.len().max(1))) {
                if random.chance(700) { world.fetch(device, *entity) } else { world.unfetch(device, *entity) }
            }
        }
    }
}

/// A device purges something that it has.
fn purge(world: &mut World, device: Device, random: &mut Random) {
    if world.is_running(device) {
        // What is in the trash, too, and what the device does not have, or has purged.
        let here = world.made();
        if let Some(entity) = here.get(random.below(here.len().max(1))) {
            world.purge(device, *entity);
        }
    }
}

/// One edit by a person: of something that exists, or something new.
fn edit(world: &mut World, device: Device, random: &mut Random) {
    if !world.is_running(device) {
        return;
    }
    let entities = world.entities(device);
    if entities.is_empty() || random.chance(80) {
        world.create(device, COLLECTIONS[random.below(2)]);
        return;
    }
    let entity = entities[random.below(entities.len())];
    match random.below(8) {
        0 => world.type_text(device, entity, random.below(30), ["a", "é", "語", "🙂🙂"][random.below(4)]),
        1 => world.increment(device, entity, random.between(1, 9) as i64),
        2 => world.label(device, entity, ["x", "y"][random.below(2)], random.between(0, 99) as i64),
        3 => world.add_item(device, entity, random.below(10), random.between(0, 99) as i64),
        4..=5 => world.enrich(device, entity, random),
        6 => world.change_mind(device, entity, random),
        _ => world.set_title(device, entity, ["one", "two", "three"][random.below(3)]),
    };
}
