//! Models that do not compile, each beside one that does and differs in the mistake alone.
//!
//! A field whose type has no default:
//!
//! ```compile_fail,E0277
//! enum Mood { Good }
//! # impl afield::typed::support::Hydrate for Mood {}
//! # impl afield::typed::support::Reconcile for Mood {
//! #     type Key<'a> = afield::typed::support::NoKey;
//! #     fn reconcile<R: afield::typed::support::Reconciler>(&self, mut r: R) -> Result<(), R::Error> { r.none() }
//! # }
//! #[afield::model]
//! struct Note { mood: Mood }
//! ```
//!
//! ```
//! enum Mood { Good }
//! # impl afield::typed::support::Hydrate for Mood {}
//! # impl afield::typed::support::Reconcile for Mood {
//! #     type Key<'a> = afield::typed::support::NoKey;
//! #     fn reconcile<R: afield::typed::support::Reconciler>(&self, mut r: R) -> Result<(), R::Error> { r.none() }
//! # }
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
//! A key that cannot be compared:
//!
//! ```compile_fail
//! #[afield::model]
//! #[derive(Default, Clone)]
//! struct Id(String);
//! #[afield::model]
//! struct Task { #[model(key)] id: Id }
//! ```
//!
//! ```
//! #[afield::model]
//! #[derive(Default, Clone, PartialEq)]
//! struct Id(String);
//! #[afield::model]
//! struct Task { #[model(key)] id: Id }
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
