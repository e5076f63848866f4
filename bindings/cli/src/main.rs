//! The afield command.

fn main() {}
