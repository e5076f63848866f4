//! One entity's Automerge document.

mod value;

pub use value::Value;
