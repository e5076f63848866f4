//! The functions that queries have: those whose answer depends on their arguments alone.

/// A function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
}

const fn of(name: &'static str, least: usize, most: usize) -> Function {
    Function { name, least, most }
}

/// How many arguments a function that takes any number may have.
const MANY: usize = 100;

/// `contains(list, value)` is ours: whether a list has an element, or a map an entry, with this value.
pub(super) const CONTAINS: &str = "contains";

/// `has_key(map, key)` is ours: whether a map has an entry under this key, or a set this element.
pub(super) const HAS_KEY: &str = "has_key";

/// `json_array_length(list)` is how many elements a list has.
pub(super) const LENGTH_OF_LIST: &str = "json_array_length";

/// `typeof(field)` is the type that SQL has for a value.
pub(super) const TYPE_OF: &str = "typeof";

const FUNCTIONS: &[Function] = &[
    of("abs", 1, 1),
    of("coalesce", 2, MANY),
    of(CONTAINS, 2, 2),
    of(HAS_KEY, 2, 2),
    of("ifnull", 2, 2),
    of("instr", 2, 2),
    of(LENGTH_OF_LIST, 1, 1),
    of("length", 1, 1),
    of("lower", 1, 1),
    of("ltrim", 1, 2),
    of("max", 2, MANY),
    of("min", 2, MANY),
    of("nullif", 2, 2),
    of("replace", 3, 3),
    of("round", 1, 2),
    of("rtrim", 1, 2),
    of("sign", 1, 1),
    of("substr", 2, 3),
    of("trim", 1, 2),
    of(TYPE_OF, 1, 1),
    of("upper", 1, 1),
];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|function| function.name.eq_ignore_ascii_case(name)).copied()
}

/// The names of all.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}
