//! The world simulator and what the whole-system tests share.
//!
//! - [`world`]: any number of devices and a relay in one thread, with virtual time and a seeded network. It drives the
//!   real `Driver`, sessions, store and relay log; what is simulated is only what lies between them, and when it fails.
//! - [`history`]: random histories of a world, and the checks of `invariants` that every one of them has to pass.
//! - [`careless`]: one device and a relay that is played by hand, for what no relay sends.
//! - [`contents`]: the relay's log as it is on disk, of a world or of a process.
//! - [`leftovers`]: what is left of something in files, byte by byte.
//! - [`processes`]: real relay and device processes, to be killed, and what can be seen of them from outside.
//!
//! A scenario reads like this:
//!
//! ```
//! use afield_tests::world::World;
//!
//! let mut world = World::new(7);
//! let [anna, ben] = world.devices();
//! let note = world.create(anna, "notes");
//! world.settle();
//! world.go_offline(anna);
//! world.type_text(anna, note, 0, "left ");
//! world.type_text(ben, note, 0, "right ");
//! world.crash_relay();
//! world.settle();
//! assert_eq!(world.text(anna, note), world.text(ben, note));
//! ```

pub mod careless;
pub mod contents;
pub mod history;
pub mod leftovers;
pub mod processes;
pub mod told;
pub mod world;
