//! What queries and searches take, and their help.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The collection, such as "notes"
    pub(crate) collection: String,
    /// What has to hold, in SQL over the names of fields; without it, all entities
    #[arg(value_name = "WHERE")]
    pub(crate) condition: Option<String>,
    /// The value of the next question mark: a number, true, false or null, and anything else as text
    #[arg(long = "param", short = 'p', value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) params: Vec<String>,
    /// Order by a field, and by the next one where that is equal; FIELD:desc for the greatest first
    #[arg(long, value_name = "FIELD[:desc]")]
    pub(crate) order_by: Vec<String>,
    /// Show so many at the most
    #[arg(long, value_name = "COUNT", value_parser = super::whole::<usize>)]
    pub(crate) limit: Option<usize>,
    /// Leave out the first ones
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = super::whole::<usize>)]
    pub(crate) offset: usize,
    /// Print how many there are and nothing else
    #[arg(long, conflicts_with_all = ["limit", "offset", "order_by", "sum", "plan"])]
    pub(crate) count: bool,
    /// Print the sum of a field and nothing else
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["limit", "offset", "order_by", "plan"])]
    pub(crate) sum: Option<String>,
    /// Print how SQLite would answer: which index it reads
    #[arg(long)]
    pub(crate) plan: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// The collection, such as "notes"
    pub(crate) collection: String,
    /// The words, all of which an entity has to have
    #[arg(value_name = "TEXT", required = true, num_args = 1..)]
    pub(crate) text: Vec<String>,
    /// Show so many at the most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = super::whole::<usize>)]
    pub(crate) limit: usize,
    /// Let the last word go on: bre finds bread
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Take the text as an expression with AND, OR, NOT, "phrases" and prefix*
    #[arg(long, conflicts_with = "prefix")]
    pub(crate) expression: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Add an index over one field or several, or over words
    Add {
        /// The collection
        collection: String,
        /// The fields
        #[arg(required = true)]
        fields: Vec<String>,
        /// For `afield search`, in the place of the fields it had
        #[arg(long)]
        text: bool,
    },
    /// Drop an index
    Drop {
        /// The collection
        collection: String,
        /// The fields that it was added with
        #[arg(required_unless_present = "text")]
        fields: Vec<String>,
        /// That for `afield search`
        #[arg(long)]
        text: bool,
    },
    /// List the indexes of a collection
    List {
        /// The collection
        collection: String,
    },
}

pub(super) const QUERY: &str = "\
A condition is what stands behind WHERE in SQLite's SQL: = <> < > AND OR NOT,
LIKE, IN, BETWEEN, IS NULL, CASE, and functions such as lower, length, coalesce
and contains(list, value). true and false are 1 and 0, timestamps milliseconds.
A field in a field is address.city, one with an unusual name \"due date\"; a text
stands between single quotes, or is a --param. A field that no entity has is an
error.

Examples:
  afield query notes 'done = 0 AND due < ?' --param 1767225600000 --order-by due
  afield query notes \"contains(tags, 'home')\" --limit 5 --json
  afield query notes --order-by _updated_ms:desc --limit 10
      the ten that were changed last
  afield query notes 'done' --count";

pub(super) const SEARCH: &str = "\
Say first which fields hold words:
  afield index add notes title body --text

Examples:
  afield search notes milk bread
  afield search notes --prefix bre
  afield search notes --expression 'milk NOT \"oat milk\"'";

pub(super) const INDEX: &str = "\
Examples:
  afield index add notes due
  afield index add notes title body --text
  afield index list notes
  afield index drop notes due";
