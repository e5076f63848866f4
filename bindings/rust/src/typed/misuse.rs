//! Models that do not compile, each beside one that does and differs in the mistake alone.
//!
//! A field whose type has no default:
//!
//! ```compile_fail,E0277
//! #[afield::model]
//! enum Mood { Good }
//! #[afield::model]
//! struct Note { mood: Mood }
//! ```
//!
//! ```
//! #[afield::model]
//! enum Mood { Good }
//! #[afield::model]
//! struct Note { #[model(required)] mood: Mood }
//! ```
//!
//! A field whose type is no model:
//!
//! ```compile_fail,E0277
//! #[derive(Default)]
//! struct Mood { good: bool }
//! #[afield::model]
//! struct Note { mood: Mood }
//! ```
//!
//! ```
//! #[afield::model]
//! #[derive(Default)]
//! struct Mood { good: bool }
//! #[afield::model]
//! struct Note { mood: Mood }
//! ```
//!
//! A default that gives another type:
//!
//! ```compile_fail,E0271
//! fn seven() -> u8 { 7 }
//! #[afield::model]
//! struct Note { #[model(default = "seven")] title: String }
//! ```
//!
//! ```
//! fn seven() -> u8 { 7 }
//! #[afield::model]
//! struct Note { #[model(default = "seven")] title: u8 }
//! ```
//!
//! A key of a map that is no string:
//!
//! ```compile_fail,E0277
//! # use std::collections::BTreeMap;
//! #[afield::model]
//! #[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
//! struct Place { row: u8 }
//! #[afield::model]
//! struct Board { pieces: BTreeMap<Place, String> }
//! ```
//!
//! ```
//! # use std::collections::BTreeMap;
//! #[afield::model]
//! #[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
//! struct Place(u8);
//! #[afield::model]
//! struct Board { pieces: BTreeMap<Place, String> }
//! ```
//!
//! A key of a map, or an element of a set, that merges:
//!
//! ```compile_fail,E0277
//! # use afield::Text; use std::collections::BTreeMap;
//! #[afield::model]
//! struct Board { pieces: BTreeMap<Text, String> }
//! ```
//!
//! ```compile_fail,E0277
//! # use afield::{Counter, LongText}; use std::collections::BTreeMap;
//! #[afield::model]
//! struct Board { pieces: BTreeMap<LongText, Counter> }
//! ```
//!
//! ```compile_fail,E0277
//! # use afield::Counter; use std::collections::BTreeSet;
//! #[afield::model]
//! struct Board { pieces: BTreeSet<Counter> }
//! ```
//!
//! ```
//! # use afield::{Counter, LongText, Text}; use std::collections::{BTreeMap, BTreeSet};
//! #[afield::model]
//! struct Board { texts: BTreeMap<String, Text>, long: BTreeMap<u8, LongText>, counters: Vec<Counter>, set: BTreeSet<char> }
//! ```
//!
//! A number that no document holds, and a list of more parts than a tuple may have:
//!
//! ```compile_fail,E0277
//! #[afield::model]
//! struct Note { count: i128 }
//! ```
//!
//! ```compile_fail,E0277
//! # use afield::Counter as C;
//! #[afield::model]
//! struct Note { counts: (C, C, C, C, C, C, C) }
//! ```
//!
//! ```
//! # use afield::Counter as C;
//! #[afield::model]
//! struct Note { count: i64, counts: (C, C, C, C, C, C) }
//! ```
//!
//! A moment that is none of the clock on the wall:
//!
//! ```compile_fail,E0277
//! #[afield::model]
//! struct Note { #[model(required)] at: std::time::Instant }
//! ```
//!
//! ```
//! #[afield::model]
//! struct Note { #[model(required)] at: std::time::SystemTime }
//! ```
//!
//! A field of another crate's type without a module for it:
//!
//! ```compile_fail,E0277
//! #[afield::model]
//! struct Job { #[model(required)] timeout: std::time::Duration }
//! ```
//!
//! ```
//! mod seconds {
//!     use std::{convert::Infallible, time::Duration};
//!     pub fn write(value: &Duration) -> u64 { value.as_secs() }
//!     pub fn read(stored: u64) -> Result<Duration, Infallible> { Ok(Duration::from_secs(stored)) }
//! }
//! #[afield::model]
//! struct Job { #[model(with = "seconds", required)] timeout: std::time::Duration }
//! ```
//!
//! A public model with private parts is no mistake:
//!
//! ```
//! #![deny(warnings)]
//! #[afield::model]
//! #[derive(Default, Clone, PartialEq)]
//! struct Id(String);
//! #[afield::model]
//! pub struct Task { #[model(key)] id: Id }
//! #[afield::model]
//! pub struct Alias(Id);
//! #[afield::model]
//! pub enum Block { Task { #[model(key)] id: Id }, Other(#[model(key)] Id) }
//! ```
//!
//! An option that does not exist:
//!
//! ```compile_fail
//! #[afield::model]
//! struct Task { #[model(ident)] id: String }
//! ```
//!
//! ```
//! #[afield::model]
//! struct Task { #[model(key)] id: String }
//! ```
//!
//! A model that borrows:
//!
//! ```compile_fail
//! #[afield::model]
//! struct Note<'a> { title: &'a str }
//! ```
//!
//! ```
//! #[afield::model]
//! struct Note { title: String }
//! ```
