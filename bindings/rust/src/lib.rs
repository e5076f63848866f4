//! bindings/rust.
