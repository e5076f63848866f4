//! For tests: a table of the variants of an enum of errors, each with its code and its class, which cannot lack one.
//!
//! Programs rest on codes and classes, so both are frozen: whoever changes one changes the table in the same commit, by intent.

use crate::wire::Class;
use std::collections::{BTreeMap, BTreeSet};

/// A row of a table: what an error of one variant says of itself.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The enum.
    pub error: &'static str,
    /// The pattern of the variant.
    pub variant: &'static str,
    /// Its code.
    pub code: &'static str,
    /// Its class.
    pub class: Class,
}

/// Makes the table of an enum, and asserts it.
///
/// First come the variants with codes of their own, then, after `passes on`, those that have the code and the class of their cause.
/// A variant without a row does not compile, in the crate that the enum is of. A variant may have several rows.
#[macro_export]
macro_rules! frozen {
    ($error:ty {
        $($own:pat = $sample:expr => $code:literal, $class:ident;)*
    } passes on {
        $($passed:pat = $cause:expr => $cause_code:literal, $cause_class:ident;)*
    }) => {{
        #[allow(unreachable_patterns)]
        fn has_a_row_for_every_variant(error: &$error) {
            match error {
                $($own => (),)*
                $($passed => (),)*
            }
        }
        let mut own: Vec<$crate::frozen::Frozen> = Vec::new();
        $(
            let sample: $error = $sample;
            has_a_row_for_every_variant(&sample);
            assert!(matches!(&sample, $own), "the sample {sample:?} is no {}", stringify!($own));
            let row = $crate::frozen::Frozen {
                error: stringify!($error),
                variant: stringify!($own),
                code: sample.code(),
                class: sample.class(),
            };
            assert_eq!((row.code, row.class), ($code, $crate::wire::Class::$class), "{row:?} of {sample:?}");
            own.push(row);
        )*
        $crate::frozen::assert_none_shared(&own);
        $(
            let sample: $error = $cause;
            assert!(matches!(&sample, $passed), "the sample {sample:?} is no {}", stringify!($passed));
            let row = $crate::frozen::Frozen {
                error: stringify!($error),
                variant: stringify!($passed),
                code: sample.code(),
                class: sample.class(),
            };
            assert_eq!((row.code, row.class), ($cause_code, $crate::wire::Class::$cause_class), "{row:?} of {sample:?}");
            own.push(row);
        )*
        own
    }};
}

/// Holds that no two variants of an enum share a code, apart from those that pass one on.
///
/// # Panics
///
/// Two do.
pub fn assert_none_shared(own: &[Frozen]) {
    let mut variants = BTreeMap::new();
    for row in own {
        let variant = *variants.entry(row.code).or_insert(row.variant);
        assert!(variant == row.variant, "{} and {} of {} share the code {}", variant, row.variant, row.error, row.code);
    }
}

/// Holds the guide's tables of codes against these rows: each of their codes is listed, with the classes that its rows have and no
/// other.
///
/// # Panics
///
/// A code is not listed, or with other classes.
pub fn assert_told_by_the_guide(guide: &str, rows: &[Frozen]) {
    let mut told: BTreeMap<&str, BTreeSet<Class>> = BTreeMap::new();
    for line in guide.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (codes, classes) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let classes: BTreeSet<_> = classes.split(", ").flat_map(classes_of).copied().collect();
        assert!(!classes.is_empty(), "no class in {line}");
        for code in codes.split('`').skip(1).step_by(2) {
            assert!(told.insert(code, classes.clone()).is_none(), "the guide lists {code} twice");
        }
    }
    let mut found: BTreeMap<&str, BTreeSet<Class>> = BTreeMap::new();
    for row in rows {
        found.entry(row.code).or_default().insert(row.class);
    }
    for (code, classes) in &found {
        assert_eq!(told.get(code), Some(classes), "{code}: what the guide says, and what is so");
    }
}

/// The classes that a word of the guide stands for.
fn classes_of(word: &str) -> &'static [Class] {
    match word {
        "retry" => &[Class::Retry],
        "sign in" => &[Class::SignIn],
        "quota" => &[Class::Quota],
        "upgrade" => &[Class::Upgrade],
        "permanent" => &[Class::Permanent],
        "any" => &[Class::Retry, Class::SignIn, Class::Quota, Class::Upgrade, Class::Permanent],
        _ => &[],
    }
}
